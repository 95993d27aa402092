"""Where settings stand together, and which files a commit touches."""

import subprocess

import pytest

FIVE = ("dial", "path", "samples", "sampler", "steps")


@pytest.mark.parametrize(
    "source",
    [
        "def restore(image, dial, path, *, samples=0, sampler, steps): ...",
        "f(dial=1, path='a', samples=0, sampler=None, steps=3)",
        "f(v.dial, path, 'samples', sampler=None, steps=3)",
        "{'dial': 1, 'path': 2, 'samples': 3, 'sampler': 4, 'steps': 5, **others}",
        "for name in ('dial', 'path', 'samples', 'sampler', 'steps'): ...",
        "[dial, path, samples, sampler, steps]",
        "{v.dial, v.path, v.samples, v.sampler, v.steps}",
        "class Settings:\n    dial: str\n    path: str\n    samples: int = 0\n    sampler = 1\n    steps = 2",
        "lambda dial, path, samples, sampler, steps: 1",
    ],
)
def test_a_place_is_any_list_of_five(benchmark, write_package, source):
    settings = benchmark("house_settings")
    package = write_package(first=source) / "src" / "veriscale"
    assert [(p.file, p.line, p.count) for p in settings.places(package)] == [("first.py", 1, 5)]
    package = write_package(first=source.replace("steps", "stages")) / "src" / "veriscale"
    assert settings.places(package) == []


def test_what_the_parts_list_is_not_counted_for_the_whole(benchmark, write_package):
    package = write_package(first="f([dial, path, samples], (sampler, steps))") / "src" / "veriscale"
    assert benchmark("house_settings").places(package) == []


def test_a_setting_with_another_name_is_not_overlooked(benchmark, write_package):
    settings = benchmark("house_settings")
    fields = "".join(f"    {name}: str\n" for name in sorted(settings.RESTORATION))
    settings.check_names(write_package("old") / "src" / "veriscale")
    settings.check_names(write_package("new", settings=f"class Settings:\n{fields}") / "src" / "veriscale")
    renamed = f"class Settings:\n{fields}".replace("samples", "draws")
    with pytest.raises(SystemExit, match="no samples"):
        settings.check_names(write_package("other", settings=renamed) / "src" / "veriscale")


def test_the_files_of_a_commit(benchmark, write_package):
    folder = write_package(first="x = 1", second="x = 1")

    def git(*arguments):
        own = ("-c", "user.name=a", "-c", "user.email=a@b.example")
        return subprocess.run(
            ["git", "-C", folder, *own, *arguments], check=True, capture_output=True, text=True
        ).stdout

    git("init", "-q")
    git("add", ".")
    git("commit", "-qm", "first")
    (folder / "src" / "veriscale" / "second.py").write_text("x = 2")
    (folder / "src" / "veriscale" / "third.py").write_text("x = 1")
    (folder / "README.md").write_text("an option")
    git("add", ".")
    git("commit", "-qm", "an option")
    found = benchmark("house_settings").touched(benchmark("checkout").Checkout("after", folder), "HEAD")
    assert found == ["src/veriscale/second.py", "src/veriscale/third.py"]
