"""What SqueezeNet's input looks like."""

from lpot_examples.data.transforms import ImageTransform

TRANSFORM = ImageTransform(
    height=224, width=224, crop=0.875, channels="BGR", mean=(104.0, 117.0, 123.0)
)
