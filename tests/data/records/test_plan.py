from pathlib import Path

import pytest

from lpot_examples.data.records.plan import Division, plan_shards
from lpot_examples.data.sources.annotated import AnnotatedImage, Content, Source
from lpot_examples.data.sources.labels import LabelMap
from lpot_examples.errors import DataError


def source(dataset="coco", **splits):
    images = {
        split: tuple(
            AnnotatedImage(
                source_id=f"{split}{number}",
                filename="a.jpg",
                content=Content(path=Path(f"{split}{number}.jpg")),
            )
            for number in range(count)
        )
        for split, count in splits.items()
    }
    named = {split.replace("all", ""): rows for split, rows in images.items()}
    return Source(dataset=dataset, splits=named, labels=LabelMap((), origin="none"))


def planned(source, **division):
    return plan_shards(source, Division(**division))


def ids(shards, split):
    return [image.source_id for shard in shards if shard.split == split for image in shard.images]


def test_own_splits_keep_their_images_and_validation_its_order():
    shards = planned(source(train=50, validation=7), num_shards=3)
    assert [shard.name for shard in shards][2:5] == [
        "coco_train.record-00002-of-00003",
        "coco_val.record-00000-of-00003",
        "coco_val.record-00001-of-00003",
    ]
    assert ids(shards, "validation") == [f"validation{n}" for n in range(7)]
    assert sorted(ids(shards, "train")) == sorted(f"train{n}" for n in range(50))
    assert ids(shards, "train") != [f"train{n}" for n in range(50)]
    assert [len(shard.images) for shard in shards] == [16, 17, 17, 2, 2, 3]


def test_a_new_split_has_the_share_asked_for_and_depends_on_the_seed():
    shards = planned(source(all=100), train_valid_split=0.9)
    train, validation = ids(shards, "train"), ids(shards, "validation")
    assert (len(train), len(validation)) == (90, 10)
    assert not set(train) & set(validation)
    assert validation == sorted(validation, key=lambda name: int(name.removeprefix("all")))
    assert planned(source(all=100), train_valid_split=0.9) == shards
    other = planned(source(all=100), train_valid_split=0.9, seed=1)
    assert ids(other, "validation") != validation


def test_more_images_move_few_of_the_others():
    before = ids(planned(source(all=100), train_valid_split=0.5), "train")
    after = ids(planned(source(all=104), train_valid_split=0.5), "train")
    assert len(set(before) - set(after)) <= 4


@pytest.mark.parametrize(("part", "expected"), [(1.0, {"train"}), (0.0, {"validation"})])
def test_a_split_may_take_everything(part, expected):
    shards = planned(source(train=3, validation=2), train_valid_split=part)
    assert {shard.split for shard in shards} == expected
    assert sum(len(shard.images) for shard in shards) == 5


def test_limits():
    shards = planned(source(train=50, validation=7), limit=4)
    assert ids(shards, "validation") == [f"validation{n}" for n in range(4)]
    assert len(ids(shards, "train")) == 4
    split = planned(source(all=50), limit=10, train_valid_split=0.8)
    assert (len(ids(split, "train")), len(ids(split, "validation"))) == (8, 2)


def test_there_are_never_more_shards_than_images():
    shards = planned(source("imagenet", train=3, validation=600), validation_shards=2, num_shards=9)
    names = [shard.name for shard in shards]
    assert names[0] == "train-00000-of-00003"
    assert names[-1] == "validation-00001-of-00002"
    assert len(planned(source("folder", all=600))) == 3


def test_images_of_one_id_cannot_be_pooled():
    both = source(train=1, validation=1)
    clash = {"train": both.splits["train"], "validation": both.splits["validation"]}
    renamed = clash["validation"][0]
    object.__setattr__(renamed, "source_id", "train0")
    with pytest.raises(DataError, match="have the same id train0"):
        planned(Source(dataset="coco", splits=clash, labels=both.labels), train_valid_split=0.5)


def test_nothing_to_convert_is_said():
    with pytest.raises(DataError, match="no image to convert"):
        planned(source(train=0))
