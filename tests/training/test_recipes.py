"""The table of what can be trained."""

import dataclasses
import json
import re

import pytest

from app.errors import DataError, UnknownRecipeError
from training import network, recipes
from training.datasets import LOADERS
from training.recipes import RECIPES, find


def test_names_are_unique_and_carry_their_version() -> None:
    assert len(RECIPES) == len(recipes._TABLE)
    assert all(name == f"{recipe.name}.v{recipe.version}" for name, recipe in RECIPES.items())


def test_name_without_a_version_is_the_newest(monkeypatch: pytest.MonkeyPatch) -> None:
    first = find("topic-gru.v1")
    third, second = (dataclasses.replace(first, version=version) for version in (3, 2))
    monkeypatch.setattr(recipes, "_TABLE", (first, third, second))
    assert find("topic-gru") is third
    assert find("topic-gru.v1") is first


@pytest.mark.parametrize(("name", "near"), [("sentiment-gur", "sentiment-gru"), ("topic-lstn", "topic-lstm")])
def test_unknown_name_lists_the_near_ones_first(name: str, near: str) -> None:
    with pytest.raises(UnknownRecipeError, match=f"There is no recipe '{name}'. Near it: {near}"):
        find(name)


def test_name_near_nothing_lists_them_all() -> None:
    with pytest.raises(UnknownRecipeError) as caught:
        find("zzz")
    assert all(recipe.name in str(caught.value) for recipe in RECIPES.values())


def test_unknown_version_is_refused() -> None:
    with pytest.raises(UnknownRecipeError, match=r"topic-gru\.v99"):
        find("topic-gru.v99")


@pytest.mark.parametrize("recipe", RECIPES.values(), ids=lambda recipe: recipe.id)
def test_recipe_is_json_and_can_be_trained(recipe: recipes.Recipe) -> None:
    described = json.loads(json.dumps(recipe.to_json()))
    assert described == recipe.to_json()
    layers = tuple(getattr(network, layer.pop("layer"))(**layer) for layer in described["network"])
    again = {**described, "network": layers, "teachers": tuple(described["teachers"])}
    assert recipes.Recipe(**again) == dataclasses.replace(recipe, published=None)
    assert recipe.data in LOADERS
    recipes.check(recipe, 30_980)


@pytest.mark.parametrize(
    ("texts", "frequent", "long", "name", "num_words", "maxlen"),
    [
        (50, 0, 0, "own-small.v1", 5, 20),
        (500, 700, 47, "own-small.v1", 704, 50),
        (4_999, 9_000, 99, "own-small.v1", 9_004, 100),
        (5_000, 90_000, 2_000, "own-large.v1", 20_000, 100),
    ],
)
def test_recipe_for_a_table_suits_its_size(
    texts: int, frequent: int, long: int, name: str, num_words: int, maxlen: int
) -> None:
    recipe = recipes.suit(texts, frequent, long)
    assert (recipe.id, recipe.num_words, recipe.maxlen, recipe.windows) == (name, num_words, maxlen, "cover")
    recipes.check(recipe, max(1, frequent))
    assert find(name.split(".", maxsplit=1)[0]).id == name
    assert recipes.changes(recipe).keys() <= {"num_words", "maxlen"}


def test_recipe_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        find("topic-gru").epochs = 1  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "sizes", "message"),
    [
        ("topic-gru", {"num_words": 4}, "num_words must be 5 to 30,984, not 4: 4 ids that name no word"),
        ("topic-gru", {"num_words": 30_985}, "num_words must be 5 to 30,984, not 30,985"),
        ("topic-gru", {"maxlen": 0}, "maxlen must be 1 to 10,000, not 0"),
        ("topic-gru", {"maxlen": 10_001}, "maxlen must be 1 to 10,000, not 10,001"),
        ("imdb-cnn-lstm", {"maxlen": 7}, "maxlen must be 8 to 10,000, not 7: its layers read at least 8 ids"),
    ],
)
def test_sizes_that_no_model_has_are_refused(name: str, sizes: dict[str, int], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        recipes.check(dataclasses.replace(find(name), **sizes), 30_980)


def test_small_index_does_not_refuse_a_recipe_as_it_stands() -> None:
    recipes.check(find("topic-gru"), 30)
    with pytest.raises(DataError, match="num_words must be 5 to 20,000, not 20,001"):
        recipes.check(dataclasses.replace(find("topic-gru"), num_words=20_001), 30)


def test_what_was_changed_is_named() -> None:
    recipe = find("imdb-lstm")
    assert recipes.changes(recipe) == {}
    assert recipes.changes(dataclasses.replace(recipe, maxlen=50, epochs=1)) == {"maxlen": 50, "epochs": 1}


@pytest.mark.parametrize("recipe", [recipe for recipe in RECIPES.values() if recipe.teachers], ids=lambda one: one.id)
def test_networks_that_teach_come_before_and_read_the_same_texts(recipe: recipes.Recipe) -> None:
    """So none teaches itself, by whatever way round."""
    names = list(RECIPES)
    assert recipe.teacher
    for name in recipe.teachers:
        teacher = RECIPES[name]
        assert names.index(name) < names.index(recipe.id)
        assert (teacher.data, teacher.unlabelled) == (recipe.data, True)
