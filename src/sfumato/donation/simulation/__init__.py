"""A donation task on one machine: three server processes, and donors made of a table's rows."""

from __future__ import annotations

from sfumato.donation.simulation.donor_pool import DonorFigures, donate_all
from sfumato.donation.simulation.local_servers import LocalServers
from sfumato.donation.simulation.simulated_round import (
    SimulatedRound,
    SimulationFigures,
    SimulationSettings,
    simulate_round,
)
from sfumato.donation.simulation.table_questions import TableQuestions, questions_of_table

__all__ = [
    "DonorFigures",
    "LocalServers",
    "SimulatedRound",
    "SimulationFigures",
    "SimulationSettings",
    "TableQuestions",
    "donate_all",
    "questions_of_table",
    "simulate_round",
]
