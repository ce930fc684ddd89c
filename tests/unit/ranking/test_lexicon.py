"""Words, stems, speakers."""

from __future__ import annotations

import threading

import pytest

from router_memory.ranking.lexicon import document, speaker_terms, stem_of, words


@pytest.mark.parametrize(
    ("word", "stem"),
    [
        ("running", "run"),
        ("Caroline's", "carolin"),
        ("don’t", ""),
        ("The", ""),
        ("o'clock", "oclock"),
        ("4711", "4711"),
        ("Zürich", "zürich"),
        ("座席", "座席"),
    ],
)
def test_stems(word: str, stem: str) -> None:
    """Possessives and inflections go, stop words are nothing, numbers and other scripts stay."""
    assert stem_of(word) == stem


def test_hyphens_and_underscores_separate_words() -> None:
    """A compound is found by its parts."""
    assert [word.surface for word in words("gluten-free snake_case")] == ["gluten", "free", "snake", "case"]


def test_a_document_counts_stems_and_knows_its_speaker() -> None:
    """The speaker is indexed under a mark and adds nothing to the length."""
    made = document("Running and running, she ran to the market", "Ana María")
    assert made.stems == {"run": 2, "ran": 1, "market": 1, "@ana": 1, "@maría": 1}
    assert made.length == 4


@pytest.mark.parametrize("role", ["user", "assistant", None, "", "AI"])
def test_a_role_is_no_speaker_name(role: str | None) -> None:
    """Only people have names."""
    assert speaker_terms(role) == frozenset()


def test_no_stem_looks_like_a_speaker() -> None:
    """The mark is no word character, so content cannot forge a speaker term."""
    assert not any(stem.startswith("@") for stem in document("@ana said @bob").stems)


def test_stemming_is_safe_in_threads() -> None:
    """Each thread has a stemmer of its own."""
    results: list[str] = []
    threads = [threading.Thread(target=lambda: results.append(stem_of("memories"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert results == ["memori"] * 8
