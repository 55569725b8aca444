"""One round at one server: states, what is on the disk at each, and how it goes on after a stop.

What is on the disk, and when
-----------------------------
The journal says each state when it has been reached. Before the classes are opened nothing but the
reports and the journal is there: an attempt that stops is run again from the frozen reports with
fresh keys, and what earlier attempts journaled (freezes, accepted reports, recoding) must come out
the same. When the sample is fixed, a server's shares *of the sampled rows alone* are sealed on its
disk, then it says LABELLED, and only then it signs; with three signatures it says SAMPLED.
:mod:`~.greeting` holds the argument why there is one sample and no more.

An error of the disk stops the attempt and leaves the state as it was. What a server says that it
must not say ends the round for good: ABORTED, with the reason and the evidence beside the journal.
"""

from __future__ import annotations

import os
from contextlib import suppress
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np

from sfumato.atomic import clear_parts, whole_file
from sfumato.donation.recoding import RecodingTree
from sfumato.donation.records import RecordCodec
from sfumato.donation.rounds.accepting import Accepted, accept_reports
from sfumato.donation.rounds.bundle import (
    SALT_BYTES,
    ReleasedShares,
    hash_of_classes,
    seal_bundle,
)
from sfumato.donation.rounds.classing import (
    domain_of,
    open_cells,
    recode_cells,
    recode_counts,
    sample,
    share_counts,
)
from sfumato.donation.rounds.exchanging import RoundChannels, digest_of, tell_both
from sfumato.donation.rounds.freezing import FrozenRound, agree_on_reports
from sfumato.donation.rounds.greeting import Conclusion, Greeting, greet
from sfumato.donation.rounds.journal import Journal
from sfumato.donation.rounds.labelling import class_of_records
from sfumato.donation.rounds.mailboxes import collect_records
from sfumato.donation.rounds.manifest import Manifest, SignedManifest
from sfumato.donation.rounds.mixing import mixed_codec, shared_records
from sfumato.donation.rounds.proving import prove_counts
from sfumato.donation.rounds.round_settings import RoundKeys, RoundSettings
from sfumato.donation.rounds.sampling import KeptRows
from sfumato.donation.rounds.settling import Settlement, compare_samples, settle, sign_together
from sfumato.donation.rounds.states import Deviation, Interrupted, RoundState, TooFewDonors
from sfumato.donation.rounds.vault import Vault, join_parts, split_parts
from sfumato.donation.serving import Ingest
from sfumato.donation.sharing import (
    ArithmeticShares,
    BooleanShares,
    Channels,
    Party,
    Randomness,
    reshare,
    shuffle,
)
from sfumato.errors import EngineError, InternalError, ProtocolError

__all__ = ["Round"]

_PREPARED = "prepared"
_LOST = (
    "this server has lost its shares of the sample that it signed: the release is finished with "
    "the bundles of the two others"
)


class Round:
    """One round at one server.

    Parameters
    ----------
    ingest
        The server's reports.
    number
        Which round.
    folder
        Where it is journaled; made, open to its owner alone.
    keys
        The server's keys.
    settings
        How it is run.
    randomness
        Source of secret uniform bytes: the operating system's outside tests.

    Raises
    ------
    EngineError
        If the folder cannot be used or the journal is damaged.
    """

    def __init__(
        self,
        ingest: Ingest,
        number: int,
        folder: Path,
        keys: RoundKeys,
        settings: RoundSettings | None = None,
        randomness: Randomness = os.urandom,
    ) -> None:
        self.number = number
        self._ingest, self._task = ingest, ingest.task
        self._index = ingest.server
        self._keys, self._settings = keys, settings or RoundSettings()
        self._randomness = randomness
        try:
            folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            clear_parts(folder)
        except OSError as error:
            raise EngineError(f"{folder}: {(error.strerror or 'unusable').lower()}") from None
        self._folder = folder
        self._journal = Journal(folder / "journal")
        context = self._task.task_id + number.to_bytes(4, "big") + bytes([self._index])
        self._vault = Vault(folder, context, randomness)
        self._attempt = max((int(line["attempt"]) for line in self._journal), default=0)
        self._deviation: ProtocolError | None = None  # seen, and perhaps not in the journal yet

    # -- what is known of it -----------------------------------------------------------------

    @property
    def state(self) -> RoundState:
        """How far it is."""
        lines = list(self._journal)
        return RoundState(lines[-1]["state"]) if lines else RoundState.OPEN

    @property
    def attempts(self) -> int:
        """The number of the last attempt, 0 before the first."""
        return self._attempt

    @property
    def accepted(self) -> int | None:
        """How many reports were accepted, once that is known."""
        line = self._last(RoundState.VERIFIED)
        return None if line is None else int(line["accepted"])

    @property
    def reason(self) -> str | None:
        """Why it was aborted."""
        line = self._last(RoundState.ABORTED)
        return None if line is None else str(line["reason"])

    @property
    def bundle(self) -> bytes | None:
        """The bundle for the researcher, once it is there."""
        return self._bundle_path.read_bytes() if self._last(RoundState.RELEASED) else None

    @property
    def signed(self) -> SignedManifest | None:
        """The manifest with all signatures, once the sample is fixed."""
        line = self._last(RoundState.SAMPLED)
        return None if line is None else SignedManifest.from_dict(self._task, line["signed"])

    @property
    def is_settled(self) -> bool:
        """Whether it ends without the others: all three have signed a sample, or it is aborted."""
        return any(self._last(state) for state in (RoundState.SAMPLED, RoundState.ABORTED))

    # -- running it --------------------------------------------------------------------------

    def run(self, channels: Channels, attempt: int) -> RoundState:
        """Run the round as far as it goes, with the two others.

        Parameters
        ----------
        channels
            The way to them, for this attempt alone.
        attempt
            Its number, above those of all attempts before, agreed by all three.

        Returns
        -------
        RoundState
            ``ERASED``: the bundle is there.

        Raises
        ------
        Interrupted
            If a peer is gone: run it again.
        TooFewDonors
            If the round stays open.
        EngineError
            If the disk refuses: mend that and run it again.
        ProtocolError
            If the round was aborted.
        """
        self._attempt = max(attempt, self._attempt)
        try:
            if self._deviation is not None:
                self._abort(self._deviation)
            party = Party.agree(
                self._index,
                RoundChannels(channels),
                self._randomness,
                audited=self._settings.audited,
            )
            self._run(party)
        except (Interrupted, TooFewDonors):
            raise
        except ProtocolError as error:
            if self._last(RoundState.SAMPLED) is None:
                self._deviation = error
                self._abort(error)
            raise
        finally:
            channels.close()
        return self.state

    def adopt(self, signed: SignedManifest) -> RoundState:
        """Take up a manifest that all three have signed, and release.

        Raises
        ------
        ProtocolError
            If this server does not have the shares of that sample any more.
        EngineError
            If the disk refuses.
        """
        if self._last(RoundState.SAMPLED) is None:
            prepared = self._prepared()
            if prepared is None or prepared[0].digest != signed.manifest.digest:
                raise ProtocolError(_LOST)
            self._write(RoundState.SAMPLED, signed=signed.to_dict())
        return self.end()

    def end(self) -> RoundState:
        """Do what is left of a settled round, whatever of it was done before a stop.

        Raises
        ------
        ProtocolError
            If this server does not have its shares of the signed sample any more.
        EngineError
            If the disk refuses.
        """
        if self._last(RoundState.ABORTED) is None:
            self._release()
        else:
            self._erase()
        return self.state

    def _run(self, party: Party) -> None:
        conclusion, signed = greet(party, self._task, self._greeting())
        if signed is None:
            if conclusion is Conclusion.RUN:
                self._vault.erase()
                self._run_anew(party)
            prepared = self._prepared()
            if prepared is None:
                raise InternalError("the sample that was just written is not there")
            try:
                signed = sign_together(party, self._task, prepared[0], self._keys.signer)
            except ProtocolError as error:
                # who has signed keeps its shares, whatever it hears: another may have all three
                raise Interrupted(str(error)) from None
        self.adopt(signed)

    def _greeting(self) -> Greeting:
        signed, prepared = self.signed, self._prepared()
        store = self._ingest.store
        frozen = store.round_number > self.number
        return Greeting(
            settings={
                "task": self._task.task_id.hex(),
                "round": self.number,
                **self._settings.model_dump(),
            },
            held=None if frozen else store.count(self.number),
            prepared=None if prepared is None else prepared[0].digest.hex(),
            signed=None if signed is None else signed.to_dict(),
            aborted=self.reason,
        )

    def _run_anew(self, party: Party) -> None:
        frozen = self._freeze(party)
        accepted = self._verify(party, frozen)
        codec = mixed_codec(self._task.codec)
        counts = None if self._settings.qid_open else self._count(party, accepted, codec)
        records = self._mix(party, accepted, codec)
        count = len(accepted.reports)
        accepted.reports.clear()
        domain = domain_of(codec)
        if counts is None:
            self._write(RoundState.COUNTED)
            cells = open_cells(party, records, codec)
            tree, labels = recode_cells(cells, domain, self._task.k)
            self._keep_tree(party, tree)
        else:
            self._write(RoundState.COUNTED)
            tree = recode_counts(party, counts, domain, count, self._task.k, self._randomness)
            self._keep_tree(party, tree)
            labels = class_of_records(party, records, codec, tree, self._randomness, self._task.k)
        kept = sample(party, self._task, records, codec, labels, len(tree), self._randomness)
        block = records[kept.rows, codec.sensitive_block]
        self._prepare(party, (frozen, accepted, count, len(records)), tree, kept, block)

    # -- the states --------------------------------------------------------------------------

    def _freeze(self, party: Party) -> FrozenRound:
        line = self._last(RoundState.FROZEN)
        known = None if line is None else [bytes.fromhex(text) for text in line["freezes"]]
        frozen = agree_on_reports(party, self._task, self._ingest.freeze(self.number), known)
        self._write(
            RoundState.FROZEN,
            freezes=[root.hex() for root in frozen.roots],
            common=len(frozen.ids),
        )
        return frozen

    def _verify(self, party: Party, frozen: FrozenRound) -> Accepted:
        common = {ids.tobytes() for ids in frozen.ids}
        reports = [s for s in self._ingest.shares(self.number) if s.report_id in common]
        accepted = accept_reports(
            party,
            self._task,
            reports,
            self._keys.verification_part,
            counted=not self._settings.qid_open,
        )
        line = self._last(RoundState.VERIFIED)
        if line is not None and line["digest"] != accepted.digest.hex():
            raise Deviation("verify: other reports are accepted than in the attempt before")
        self._write(
            RoundState.VERIFIED, digest=accepted.digest.hex(), accepted=len(accepted.reports)
        )
        return accepted

    def _count(self, party: Party, accepted: Accepted, codec: RecordCodec) -> ArithmeticShares:
        """Share the counts, and prove that they are those of the records as they were sent."""
        counts = share_counts(party, accepted.table, domain_of(codec))
        if accepted.mailboxes is None:
            records = shared_records(accepted.reports, codec)
        else:
            shape = (len(accepted.reports), codec.used_bytes)
            records = reshare(party, BooleanShares, accepted.mailboxes.records, shape, np.uint8)
        return prove_counts(party, counts, records, codec, self._randomness)

    def _mix(self, party: Party, accepted: Accepted, codec: RecordCodec) -> BooleanShares:
        names = b""
        if accepted.mailboxes is None:
            shares = shared_records(accepted.reports, codec)
        else:
            task_id = self._task.task_id
            shares, names = collect_records(
                party, accepted.mailboxes, task_id, codec, self._randomness
            )
            if len(shares) < self._task.n_min:
                raise Deviation(f"mailboxes: only {len(shares)} records are whole")
            line = self._last(RoundState.SHUFFLED)
            if line is not None and line["names"] != names.hex():
                raise Deviation("mailboxes: other records are whole than in the attempt before")
        records = shuffle(party, shares, self._randomness)
        self._write(RoundState.SHUFFLED, names=names.hex(), records=len(records))
        return records

    def _keep_tree(self, party: Party, tree: RecodingTree) -> None:
        """Make sure that all three, and all attempts, have the same recoding; then write it."""
        values = tree.to_dict()
        digest = digest_of("recoding", repr(values).encode())
        if any(other != digest for other in tell_both(party, "compare recodings", digest).values()):
            raise Deviation("recode: the servers do not have the same recoding")
        line = self._last(RoundState.RECODED)
        if line is not None and line["recoding"] != values:
            raise Deviation("recode: the recoding is another one than in the attempt before")
        self._write(RoundState.RECODED, recoding=values)

    def _prepare(
        self,
        party: Party,
        verified: tuple[FrozenRound, Accepted, int, int],
        tree: RecodingTree,
        kept: KeptRows,
        block: BooleanShares,
    ) -> None:
        """Put the sample on the disk, with this server's shares of it and of nothing else."""
        frozen, accepted, count, whole = verified
        salts = tuple(
            stream.draw(SALT_BYTES, np.uint8, "release salt").tobytes() for stream in party.streams
        )
        shares = ReleasedShares(kept.classes, (block.first, block.second), (salts[0], salts[1]))
        settled: Settlement = settle(party, self._task.task_id, shares)
        released = np.isin(np.arange(len(tree)), kept.classes)
        task = self._task
        manifest = Manifest(
            task_id=task.task_id,
            round_number=self.number,
            attempt=self._attempt,
            mode=task.mode,
            qid_open=self._settings.qid_open,
            k=task.k,
            deletion_share=str(Fraction(task.deletion_share)),
            records=count,
            dropped=len(frozen.ids) - count,
            lost=count - whole,
            suppressed=kept.suppressed,
            rows=len(kept.rows),
            recoding=tree.to_dict(),
            class_sizes=tuple(
                int(size) if good else None
                for size, good in zip(kept.class_sizes, released, strict=True)
            ),
            classes_hash=hash_of_classes(kept.classes),
            share_hashes=settled.share_hashes,
            freezes=frozen.roots,
            accepted_hash=accepted.digest,
            transcripts=settled.transcripts,
        )
        compare_samples(party, manifest)
        self._vault.put(_PREPARED, join_parts([manifest.to_bytes(), shares.to_bytes()]))
        self._write(RoundState.LABELLED, manifest=manifest.digest.hex())

    def _prepared(self) -> tuple[Manifest, ReleasedShares] | None:
        """Return the sample on the disk, if the journal says that it is there."""
        lines = list(self._journal)
        if not lines or lines[-1]["state"] not in {RoundState.LABELLED, RoundState.SAMPLED}:
            return None
        data = self._vault.get(_PREPARED)
        parts = None if data is None else split_parts(data)
        if parts is None:
            return None
        block = self._task.codec.sensitive_block
        shares = ReleasedShares.from_bytes(parts[1], block.stop - block.start)
        return Manifest.from_bytes(parts[0]), shares

    def _release(self) -> None:
        """Seal the bundle, write it, and forget all else; whatever of it was done before."""
        if self._last(RoundState.RELEASED) is None:
            signed, prepared = self.signed, self._prepared()
            if signed is None or prepared is None:
                raise ProtocolError(_LOST)
            data = seal_bundle(self._task, self._index, signed, prepared[1], self._keys.signer)
            try:
                with whole_file(self._bundle_path) as file:
                    file.write(data)
            except OSError as error:
                reason = (error.strerror or "the disk refused").lower()
                raise EngineError(f"{self._bundle_path}: {reason}") from None
            self._write(RoundState.RELEASED)
        if self._last(RoundState.ERASED) is None:
            self._erase()
            self._write(RoundState.ERASED)

    def _abort(self, error: ProtocolError) -> None:
        """End the round for good."""
        if self._last(RoundState.ABORTED) is None:
            evidence = error.evidence if isinstance(error, Deviation) else {}
            paths = {name: self._folder / f"evidence-{name}" for name in evidence}
            for name, path in paths.items():
                # a disk that does not take the proof may still take the decision
                with suppress(OSError), whole_file(path) as file:
                    file.write(evidence[name])
            names = [name for name, path in paths.items() if path.exists()]
            self._write(RoundState.ABORTED, reason=str(error), evidence=names)
        self._erase()

    def _erase(self) -> None:
        try:
            self._vault.erase()
        except OSError as error:
            raise EngineError(
                f"{self._folder}: {(error.strerror or 'the disk refused').lower()}"
            ) from None
        store = self._ingest.store
        if store.round_number == self.number:  # aborted before it was frozen: no more reports
            store.freeze(self.number)
        store.erase(self.number)

    # -- the journal -------------------------------------------------------------------------

    @property
    def _bundle_path(self) -> Path:
        return self._folder / "bundle"

    def _write(self, state: RoundState, **values: Any) -> None:
        self._journal.append({"state": state.value, "attempt": self._attempt, **values})

    def _last(self, state: RoundState) -> dict[str, Any] | None:
        return next(
            (line for line in reversed(list(self._journal)) if line["state"] == state), None
        )
