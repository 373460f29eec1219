"""What FastestDet's input looks like."""

from lpot_examples.data.transforms import ImageTransform

TRANSFORM = ImageTransform(height=352, width=352, channels="BGR", scale=1 / 255)
