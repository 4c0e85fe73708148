"""Arrays and pictures from the shell: what is read, what is found, and what is refused in words."""

import json

import numpy as np
import pytest
from PIL import Image

from course_lib import cli
from course_lib.audit import AuditError, audit_arrays
from course_lib.audit.arrays import audit_rows, holds_rows, read_rows

N = 150


def pictures(folder, seed, *, side=4, classes=(), n=60, grey=True):
    rng = np.random.default_rng(seed)
    for k in range(n):
        own = folder / classes[k % len(classes)] if classes else folder
        own.mkdir(parents=True, exist_ok=True)
        shape = (side, side + 1) if grey else (side, side + 1, 3)
        Image.fromarray(rng.integers(0, 256, shape).astype(np.uint8)).save(own / f"{k:03}.png")
    return folder


@pytest.fixture
def files(tmp_path):
    """Real, holdout and synthetic rows of one distribution, with classes."""
    paths = {}
    for seed, part in enumerate(("real", "holdout", "made")):
        rng = np.random.default_rng(seed)
        paths[part] = tmp_path / f"{part}.npz"
        np.savez(paths[part], x=rng.normal(size=(N, 3)), y=rng.integers(0, 2, N))
    return paths


def run(capsys, *arguments):
    status = cli.main(["audit", *map(str, arguments), "--quiet"])
    out = capsys.readouterr()
    return status, out.out, out.err


def test_the_command_is_audit_arrays(files, capsys, tmp_path):
    report = tmp_path / "report.json"
    status, out, err = run(
        capsys, files["real"], files["made"], "--holdout", files["holdout"], "--json", report
    )
    assert status == 0, out + err
    assert "Read as real data: x of 150 rows of 3 numbers, and their classes y." in out
    content = json.loads(report.read_text())
    loaded = [np.load(files[part]) for part in ("real", "holdout", "made")]
    same = audit_arrays(
        *(each["x"] for each in loaded), classes=[each["y"] for each in loaded], progress=False
    )
    told = {each["id"]: each["estimate"] for each in content["findings"]}
    assert told == {finding.id: finding.estimate for finding in same}
    assert set(content["about"]["files"]) == {"real", "holdout", "synthetic"}


def test_copies_stop_it(files, capsys, tmp_path):
    copied = tmp_path / "copied.npz"
    np.savez(copied, x=np.load(files["real"])["x"])
    status, out, _ = run(capsys, files["real"], copied, "--holdout", files["holdout"])
    assert status == 1 and "fail privacy" in out
    assert "The synthetic data have no classes, so classes were not compared." in out


def test_a_lost_class_is_found_without_a_holdout_too(files, capsys, tmp_path):
    one = tmp_path / "one.npz"
    np.savez(one, x=np.load(files["made"])["x"], y=np.zeros(N, int))
    status, out, _ = run(capsys, files["real"], one)
    assert status == 1 and "group_share[class = " in out


def test_folders_of_pictures_with_classes(tmp_path, capsys):
    real = pictures(tmp_path / "real", 0, classes=("cat", "dog"))
    made = pictures(tmp_path / "made", 1, classes=("cat", "dog"))
    status, out, err = run(capsys, real, made)
    assert status == 0, out + err
    assert "60 pictures of 5 x 4 pixels, grey, in folders by class" in out
    rows = read_rows(real)
    assert rows.x.shape == (60, 4, 5) and rows.x.max() <= 1 and rows.x.dtype == np.float32
    assert list(rows.classes[:2]) == ["cat", "cat"] and set(rows.classes) == {"cat", "dog"}
    first = np.asarray(Image.open(real / "cat" / "000.png"))
    np.testing.assert_allclose(rows.x[0] * 255, first, atol=1e-4)


def test_pictures_in_colours_and_what_else_lies_there(tmp_path):
    folder = pictures(tmp_path / "real", 0, n=3, grey=False)
    (folder / "notes.txt").write_text("none")
    (folder / ".hidden.png").write_text("none")
    (folder / "empty").mkdir()
    assert read_rows(folder).x.shape == (3, 4, 5, 3)
    assert read_rows(folder).classes is None
    assert holds_rows(folder) and not holds_rows(folder / "empty")


def test_features_of_a_module_in_this_folder(files, capsys, tmp_path, monkeypatch):
    (tmp_path / "own_features.py").write_text("def embed(x):\n    return x[:, :2] * 2\n")
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(str(tmp_path))
    status, out, err = run(capsys, files["real"], files["made"], "--features", "own_features:embed")
    assert status == 0, out + err
    assert "of these, features by own_features:embed" in out


def test_features_may_come_as_tensors(files):
    report = audit_rows(
        files["real"], None, files["made"], features="torch:from_numpy", progress=False
    )
    assert report.about["features"] == 3


def test_one_array_is_taken_whatever_it_is_called(tmp_path):
    np.savez(tmp_path / "a.npz", pixels=np.zeros((9, 2, 2)), labels=np.arange(9)[:, None])
    rows = read_rows(tmp_path / "a.npz")
    assert rows.x.shape == (9, 2, 2) and rows.classes.shape == (9,)
    np.save(tmp_path / "a.npy", np.zeros((9, 2)))
    assert read_rows(tmp_path / "a.npy").classes is None


def broken(folder):
    """Files that cannot be read, with a word of what is said about each."""
    np.savez(folder / "objects.npz", x=np.array([[{}]] * 20, dtype=object))
    np.savez(folder / "two.npz", one=np.zeros((9, 2)), two=np.zeros((9, 2)))
    np.savez(folder / "none.npz")
    np.savez(folder / "classes.npz", x=np.zeros((9, 2)), y=np.zeros(8))
    np.savez(folder / "flat.npz", x=np.zeros(200))
    np.savez(folder / "words.npz", x=np.full((99, 3), "a"))
    np.savez(folder / "nan.npz", x=np.full((99, 3), np.nan))
    np.savez(folder / "wide.npz", x=np.zeros((99, 7)))
    (folder / "text.npz").write_text("x,y")
    (folder / "cut.npz").write_bytes((folder / "two.npz").read_bytes()[:100])
    (folder / "table.csv").write_text("a,b\n1,2\n")
    sizes = pictures(folder / "sizes", 0, n=2)
    pictures(folder / "other", 0, side=6, n=3)
    (folder / "other" / "002.png").rename(sizes / "002.png")
    pictures(folder / "mixed", 0, n=2, classes=("a",))
    pictures(folder / "mixed", 1, n=2)
    (folder / "damaged").mkdir()
    (folder / "damaged" / "0.png").write_bytes(b"no picture")
    return {
        "objects.npz": "Python objects",
        "two.npz": "not clear which",
        "none.npz": "holds nothing",
        "classes.npz": "one class to each row",
        "flat.npz": "differ in size",
        "words.npz": "not numbers",
        "nan.npz": "NaN",
        "wide.npz": "differ in size",
        "text.npz": "cannot be read as an array: it is not a file that NumPy wrote",
        "cut.npz": "cannot be read",
        "gone.npz": "There is no file",
        "table.csv": "no array",
        "sizes": "002.png is 7 x 6 pixels",
        "mixed": "into the folder of its class",
        "damaged": "cannot be read as a picture",
    }


def test_what_cannot_be_read_is_refused_in_a_sentence(tmp_path, files, capsys):
    for name, words in broken(tmp_path).items():
        with pytest.raises(AuditError, match=words):
            audit_rows(files["real"], None, tmp_path / name, progress=False)
        status, _, err = run(capsys, files["real"], tmp_path / name)
        assert status == 2 and "Traceback" not in err, name


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--label", "y"], "--label: only tables have columns"),
        (["--sensitive", "a", "--aux", "b"], "--sensitive, --aux: only tables"),
        (["--features", "numpy"], "a module and a function"),
        (["--features", "numpy:nothing_such"], "no function 'nothing_such'"),
        (["--features", "no_such_module:f"], "must be installed"),
        (["--features", "numpy:pi"], "is no function"),
        (["--features", "numpy:sum"], "one row of features"),
        (["--features", "os.path:join"], "--features os.path:join fails on x of"),  # not our fault
        (["--groups-of", "1", "--nearest", "2"], "--nearest: only tables"),
    ],
)
def test_options_that_do_not_fit_are_refused(files, capsys, arguments, words):
    status, _, err = run(capsys, files["real"], files["made"], *arguments)
    assert status == 2 and words in err


def test_features_are_not_for_tables(tmp_path, capsys):
    (tmp_path / "a.csv").write_text("a,b\n" + "1,2\n" * 50)
    status, _, err = run(capsys, tmp_path / "a.csv", tmp_path / "a.csv", "--features", "numpy:sum")
    assert status == 2 and "--features is for arrays" in err


def test_classes_of_a_holdout_that_is_set_aside_are_their_rows_own():
    rng = np.random.default_rng(0)
    x, made = rng.normal(size=(200, 2)), rng.normal(size=(200, 2))
    classes = (x[:, 0] > 0).astype(int)
    report = audit_arrays(x, None, made, classes=[classes, None, classes], progress=False)
    assert report["group_share[class = 1]"].estimate == 0
    with pytest.raises(AuditError, match="classes= needs one class"):
        audit_arrays(x, None, made, classes=[classes[:-1], None, classes], progress=False)


def test_large_pictures_of_16_bits_keep_their_range(tmp_path):
    folder = tmp_path / "deep"
    folder.mkdir()
    values = np.array([[0, 65535], [32768, 1]], np.uint16)
    Image.fromarray(values).save(folder / "a.png")
    np.testing.assert_allclose(read_rows(folder).x[0] * 65535, values, atol=0.01)


@pytest.mark.parametrize("given", [False, True])
def test_rows_of_an_array_that_were_copied_are_named(given):
    real, held_out, made = (np.random.default_rng(k).normal(size=(200, 5)) for k in range(3))
    id = "verbatim_people[whole rows]"
    clean = audit_arrays(real, held_out if given else None, made, progress=False)
    assert clean[id].verdict == ("pass" if given else "not testable")
    made[[4, 9]] = real[[7, 150]]
    told = audit_arrays(real, held_out if given else None, made, progress=False)[id]
    assert told.verdict == "fail" and "2 of 200 rows" in told.method
    assert "5 (8)" in told.method and "10 (151)" in told.method
