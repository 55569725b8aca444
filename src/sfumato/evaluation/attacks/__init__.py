"""Attacks on a release, each against people who are in it and people who are not.

:class:`AttackTables` puts the released rows, the members (people that the release was made from)
and the controls (people it never saw) on one footing; an :class:`Attack` asks one question of it
and answers with figures. Attacks are found through the entry points ``sfumato.attacks``.
"""
