"""Poses by a tiny TFLite model that stands for a person's own: what is read, and what is refused."""

import csv
import io

import keras
import numpy as np
import pytest
import tensorflow as tf
from PIL import Image

from commands import poses as command
from edge.core.errors import UserError
from edge.modalities.series import poses

SIZE = 8


def model(path, *shapes, takes=(SIZE, SIZE, 3)):
    """A TFLite file whose outputs, of these shapes, are 0, 1, 2, … times the mean of the picture."""
    picture = keras.Input(takes, batch_size=1)
    mean = keras.ops.mean(picture, axis=tuple(range(1, len(takes) + 1)))
    outputs = []
    for shape in shapes:
        ramp = np.arange(np.prod(shape), dtype=np.float32).reshape((1, *shape))
        outputs.append(keras.ops.reshape(mean, (1,) * (1 + len(shape))) * ramp)
    converter = tf.lite.TFLiteConverter.from_keras_model(keras.Model(picture, outputs))
    path.write_bytes(converter.convert())
    return path


def pictures(folder, *names, value=255):
    for name in names:
        (folder / name).parent.mkdir(parents=True, exist_ok=True)
        Image.new("RGB", (20, 20), (value,) * 3).save(folder / name)
    return folder


@pytest.fixture(scope="module")
def movenet(tmp_path_factory):
    return model(tmp_path_factory.mktemp("model") / "movenet.tflite", (1, 17, 3))


def test_a_command_writes_what_the_task_reads(movenet, tmp_path, monkeypatch, capsys):
    """Frames in order, 34 coordinates, the folder as label, the person or the picture as recording."""
    names = ("sit/anna/frame10.png", "sit/anna/frame2.png", "wave/alone.jpg")
    pictures(tmp_path / "in", *names)
    (tmp_path / "in/sit/none.png").write_bytes(b"no picture")
    monkeypatch.setattr("sys.argv", ["poses", str(movenet), str(tmp_path / "in"), str(tmp_path / "out.csv")])
    command.main()
    said = capsys.readouterr()
    assert "3 poses, 1 unreadable, 0 of nobody" in said.out and "left out sit/none.png" in said.err
    rows = list(csv.DictReader((tmp_path / "out.csv").open()))
    assert [(row["label"], row["recording"]) for row in rows] == [("sit", "anna"), ("sit", "anna"), ("wave", "alone")]
    assert list(rows[0])[:4] == ["nose_x", "nose_y", "left_eye_x", "left_eye_y"] and len(rows[0]) == 36
    assert (float(rows[0]["nose_x"]), float(rows[0]["nose_y"])) == (255 * SIZE, 0)  # output: y, x, score of each


def test_33_points_become_17_by_a_table(tmp_path):
    """MediaPipe's points of 5 numbers: x, y of those that COCO has; a picture without a person is left out."""
    file = model(tmp_path / "m.tflite", (195,))
    (height, width), estimate = poses.estimator(file)
    pose = estimate(np.full((height, width, 3), 255, np.uint8))
    assert pose.points[:, 0] == pytest.approx([5 * index for index in poses.MEDIAPIPE])
    assert pose.points[:, 1] == pytest.approx([5 * index + 1 for index in poses.MEDIAPIPE])
    nobody = model(tmp_path / "n.tflite", (195,), (1,))  # the second output, presence, is 0
    with pytest.raises(UserError, match="no picture with a person"):
        poses.write(nobody, pictures(tmp_path / "in", "sit/a.png"), tmp_path / "out.csv")
    assert not (tmp_path / "out.csv").exists()


def test_heat_maps_and_offsets_are_decoded():
    """The best cell of a point's map, moved by the offsets there."""
    heat, offsets = np.full((1, 3, 3, 17), -9.0), np.zeros((1, 3, 3, 34))
    heat[0, 1, 2, :] = 9
    offsets[0, 1, 2, :17], offsets[0, 1, 2, 17:] = 3, -5
    pose = poses.posenet([offsets, heat], (64, 32))
    assert pose.points.tolist() == [[32 - 5, 32 + 3]] * 17 and pose.confidence > 0.99


def test_a_mirror_is_its_own_inverse():
    """The table of sides swaps left and right, and the nose stays."""
    swapped = [poses.POINTS[index] for index in poses.MIRRORED]
    assert swapped[:3] == ["nose", "right_eye", "left_eye"]
    assert [poses.MIRRORED[index] for index in poses.MIRRORED] == list(range(17))


@pytest.mark.parametrize(("shapes", "takes"), [([(10,)], (SIZE, SIZE, 3)), ([(1, 17, 3)], (SIZE, 3))])
def test_another_model_is_refused_with_what_was_found(tmp_path, shapes, takes):
    """A classifier, or a model that takes no picture, is named with its shapes."""
    file = model(tmp_path / "other.tflite", *shapes, takes=takes)
    with pytest.raises(UserError, match=r"other.tflite is no pose model .* takes \(1, 8, .*MediaPipe"):
        poses.estimator(file)


def test_what_is_no_model_is_refused(tmp_path):
    """Damaged and missing files are a line."""
    (tmp_path / "bad.tflite").write_bytes(b"TFL3" * 100)
    with pytest.raises(UserError, match=r"bad.tflite is no TFLite model"):
        poses.estimator(tmp_path / "bad.tflite")
    with pytest.raises(UserError, match=r"gone.tflite does not exist"):
        poses.estimator(tmp_path / "gone.tflite")


@pytest.mark.parametrize(("name", "said"), [("a.png", "lies in no folder"), ("a+b/a.png", "is no label")])
def test_a_picture_without_a_usable_label_is_refused(movenet, tmp_path, name, said):
    """The folder names the label, and must be able to."""
    with pytest.raises(UserError, match=said):
        poses.write(movenet, pictures(tmp_path / "in", name), tmp_path / "out.csv")


def test_a_picture_of_too_many_pixels_is_not_decoded(monkeypatch):
    """A picture above the limit is refused by its header."""
    monkeypatch.setattr(poses, "MOST_PIXELS", 10)
    file = io.BytesIO()
    Image.new("RGB", (4, 4)).save(file, "PNG")
    with pytest.raises(ValueError, match="4 x 4 pixels"):
        poses.pixels(file.getvalue(), (SIZE, SIZE))
