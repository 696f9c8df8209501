"""Runs the fuzz target on its seeds, and on many mutations of them in tests marked `fuzz`."""

import random

import pytest

from tests.scopes.fuzz_scopes import SEEDS, check, mutate_seeds


@pytest.mark.parametrize("seed", SEEDS)
def test_the_invariant_holds_for_a_seed(seed: bytes) -> None:
    check(seed)


@pytest.mark.fuzz
def test_the_invariant_holds_for_mutated_seeds_and_for_noise() -> None:
    rng = random.Random("scopes")
    for _ in range(4000):
        for data in (mutate_seeds(rng), rng.randbytes(rng.randint(0, 64))):
            try:
                check(data)
            except Exception as error:
                error.add_note(f"with {data!r}")
                raise
