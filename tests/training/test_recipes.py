"""The table of what can be trained."""

import dataclasses
import json

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
    assert recipes.Recipe(**{**described, "network": layers}) == dataclasses.replace(recipe, published=None)
    assert recipe.data in LOADERS
    recipes.check(recipe)


def test_recipe_cannot_be_changed() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        find("topic-gru").epochs = 1  # type: ignore[misc]


@pytest.mark.parametrize("sizes", [{"num_words": 4}, {"maxlen": 0}])
def test_sizes_that_no_model_has_are_refused(sizes: dict[str, int]) -> None:
    with pytest.raises(DataError, match="num_words must exceed 4, and maxlen 0"):
        recipes.check(dataclasses.replace(find("topic-gru"), **sizes))
