"""A model card in Markdown, as model hubs show it: what is known of a model, from its bundle.

After Mitchell et al. 2019, "Model Cards for Model Reporting"; the head in YAML is Hugging Face's.
"""

import json
from collections.abc import Mapping
from importlib.resources import files
from typing import Any

import jinja2

from retrain.bundle import Manifest
from retrain.run import CROSS_FITTED, ONE_FOLD

NAME = "README.md"
HOW = {
    CROSS_FITTED: "cross-validation: a head that had not learned from a picture judged it",
    ONE_FOLD: "pictures of one fold, which the model that judged them had not learned from",
    "validation": "validation pictures that the user set aside",
    "test": "test pictures that were never learned from",
}


def model_card(manifest: Manifest, counts: Mapping[str, int], licence: str, usage: str) -> str:
    """Return the card.

    Args:
        manifest: of the bundle.
        counts: the number of pictures of each category; may be empty where it is not known.
        licence: an identifier such as "mit"; "" for one that the reader has to fill in.
        usage: how to load what lies beside the card, in Markdown.
    """
    environment = jinja2.Environment(trim_blocks=True, lstrip_blocks=True)
    environment.filters["text"] = _text
    environment.filters["json"] = lambda value: json.dumps(value, ensure_ascii=False)
    template = (files("retrain.export") / "card.md.jinja").read_text("utf-8")
    figures = {
        name: value
        for name, value in manifest.metrics.items()
        if name in HOW and isinstance(value, Mapping)
    }
    values: dict[str, Any] = {
        "manifest": manifest,
        "counts": counts,
        "licence": licence,
        "usage": usage,
        "figures": figures,
        "how": HOW,
        "leading": figures.get(str(manifest.metrics.get("judged_by"))),
        "beyond": manifest.metrics.get("beyond"),
        "in_words": manifest.metrics.get("in_words") or [],
    }
    return environment.from_string(template).render(values).strip() + "\n"


def _text(value: str) -> str:
    r"""Return a name so that Markdown and HTML leave it as it is.

    >>> _text("a|b *c* <i>")
    'a\\|b \\*c\\* &lt;i&gt;'
    """
    for sign in "\\|*_`[]":
        value = value.replace(sign, f"\\{sign}")
    return value.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
