"""Numbers of a first config for photographs: how they are split, which sizes are tried, how the supernet is trained."""

from __future__ import annotations

from foxnas.supernet.training.recipe import Recipe

DONOR = "efficientnet-lite0"
SPACE = "lite0"

#: Fewer photographs are no task for this tool.
FEWEST_IMAGES = 500

#: Shares of the images, where no folder holds any out; the rest trains.
FIT_SHARE, VERIFY_SHARE, TEST_SHARE = 0.15, 0.10, 0.15

#: More images than this make an evaluation slower, and hardly more certain (those of the demo).
MOST_FIT, MOST_VERIFY, MOST_TEST = 5_000, 10_000, 10_000

#: Below so many fit images, the predictors learn the mean probability of the correct class, which has less noise.
ENOUGH_FIT = 500

#: Below so many verify images, candidates are compared by it, too.
ENOUGH_VERIFY = 500

#: With fewer fit images, further supernets evaluate on others: as many as make up for it, and this many in all at most.
MOST_FOLDS = 4

#: Seconds that a model runs on a board without a pause.
SUSTAINED_S = 300

#: Below so many test images, the bound of the int8 loss (1 point) may stay open however good the file is.
ENOUGH_TEST = 2_000

#: Image sizes in pixels, multiples of the space's 32, of which the largest that the photographs have are tried.
IMAGE_SIZES = (64, 96, 128, 160)
MOST_IMAGE_SIZES = 3

#: Subnets measured per image size: one shard.
SUBNETS = 100
ACCURACY_FORM = "quadratic-shrunk"

RECALIBRATION_IMAGES = 512
CALIBRATION_IMAGES = 256

#: An epoch has as many steps where batches may get smaller for it.
STEPS_OF_AN_EPOCH = 16
SMALLEST_BATCH, LARGEST_BATCH = 16, 64
DISTILLATION = 0.5
LEARNING_RATE = 0.001

#: Up to so many training photographs: epochs that fine-tune the donor, then those that train all subnets. Those of few
#: were measured on 300 to 1,668 (docs/evidence/photos.md).
FEW_TRAINING = 2_000
EPOCHS_OF_FEW, EPOCHS_OF_MORE = (16, 16), (3, 6)

#: Epochs of a winner's own training, likewise.
OWN_EPOCHS_OF_FEW, OWN_EPOCHS_OF_MORE = 12, 3

#: Bounds of the steps over which weights are averaged: an epoch, as far as it is within them.
LEAST_AVERAGED_STEPS, MOST_AVERAGED_STEPS = 20, 500

#: The learning rate rises during the first epoch, but over no more steps than the library's default.
MOST_WARM_UP_STEPS = Recipe.warm_up_steps
