"""The model card."""

import json

from agents import pretrained
from agents.cjs.decima import card as cards
from agents.cjs.decima.policy import SHIPPED


def test_shipped_card_says_what_its_training_says():
    saved = json.loads((SHIPPED / pretrained.TRAINING).read_text())
    assert (SHIPPED / pretrained.CARD).read_text() == cards.card(saved)
