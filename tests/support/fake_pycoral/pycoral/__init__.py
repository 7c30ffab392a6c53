"""A FAKE of Google's pycoral: no Edge TPU anywhere. See `utils/edgetpu.py`."""
