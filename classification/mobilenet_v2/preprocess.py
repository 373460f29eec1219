"""What MobileNetV2's input looks like."""

from lpot_examples.data.transforms import ImageTransform

TRANSFORM = ImageTransform(
    height=224, width=224, crop=0.875, mean=(127.5, 127.5, 127.5), scale=1 / 127.5
)
