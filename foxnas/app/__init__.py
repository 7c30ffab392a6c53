"""What an app needs beside a deployed model: labels, a program that classifies, a card that describes it."""
