"""A donated record: the questions that are asked, and a row of answers as a few fixed bytes."""

from __future__ import annotations

from sfumato.donation.records.codec import RecordCodec
from sfumato.donation.records.digits import DigitLayout
from sfumato.donation.records.form import FormQuestion, form_questions
from sfumato.donation.records.numbers import NumberRange
from sfumato.donation.records.questions import (
    CategoryQuestion,
    NumberQuestion,
    QuasiIdentifierQuestion,
    SensitiveQuestion,
)

__all__ = [
    "CategoryQuestion",
    "DigitLayout",
    "FormQuestion",
    "NumberQuestion",
    "NumberRange",
    "QuasiIdentifierQuestion",
    "RecordCodec",
    "SensitiveQuestion",
    "form_questions",
]
