"""Ids of the classes of COCO and Pascal VOC by name."""

from __future__ import annotations

# COCO's 80 categories in the order of their ids, 1 to 90; an id that is not used is a dash.
_COCO = """
person, bicycle, car, motorcycle, airplane, bus, train, truck, boat, traffic light, fire
hydrant, -, stop sign, parking meter, bench, bird, cat, dog, horse, sheep, cow, elephant, bear,
zebra, giraffe, -, backpack, umbrella, -, -, handbag, tie, suitcase, frisbee, skis, snowboard,
sports ball, kite, baseball bat, baseball glove, skateboard, surfboard, tennis racket, bottle,
-, wine glass, cup, fork, knife, spoon, bowl, banana, apple, sandwich, orange, broccoli, carrot,
hot dog, pizza, donut, cake, chair, couch, potted plant, bed, -, dining table, -, -, toilet, -,
tv, laptop, mouse, remote, keyboard, cell phone, microwave, oven, toaster, sink, refrigerator,
-, book, clock, vase, scissors, teddy bear, hair drier, toothbrush
"""

# Pascal VOC's 20 classes, whose ids count from 1 in alphabetical order.
_VOC = """
aeroplane, bicycle, bird, boat, bottle, bus, car, cat, chair, cow, diningtable, dog, horse,
motorbike, person, pottedplant, sheep, sofa, train, tvmonitor
"""


def _ids(text: str) -> dict[str, int]:
    names = (" ".join(name.split()) for name in text.split(","))
    return {name: number for number, name in enumerate(names, 1) if name != "-"}


COCO_NAMES = _ids(_COCO)
"""https://cocodataset.org, annotations of 2017."""

VOC_NAMES = _ids(_VOC)
"""Everingham et al., "The Pascal Visual Object Classes (VOC) challenge", IJCV 88 (2010)."""
