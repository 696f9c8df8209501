"""Runs the fuzz target over its seeds always, and over many mutations of them where fuzzing is asked for."""

import random

import pytest

from tests.scopes.fuzz_scopes import SEEDS, check, mutated


@pytest.mark.parametrize("seed", SEEDS)
def test_the_invariant_holds_for_a_seed(seed: bytes) -> None:
    check(seed)


@pytest.mark.fuzz
def test_the_invariant_holds_for_mutated_seeds_and_for_noise() -> None:
    chance = random.Random("scopes")
    for _ in range(4000):
        for data in (mutated(chance), chance.randbytes(chance.randint(0, 64))):
            try:
                check(data)
            except Exception as error:
                error.add_note(f"with {data!r}")
                raise
