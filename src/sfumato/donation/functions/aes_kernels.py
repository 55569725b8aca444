"""Steps of an evaluation on vectors of AES blocks, which numba's own types cannot say.

Each function here is written in the processor's terms (LLVM's AES intrinsics) and is called by the
loops of :mod:`.tree_kernels` on addresses. A vector holds 1, 2 or 4 blocks: AES-NI, VAES on 256
bits, VAES on 512. What a compiled function may branch on before it is compiled are types only, so
the width is told by a tuple of as many zeros, and the kind of numbers by the table's own type.

A processor that lacks an instruction would end the process: :mod:`.processor` says which widths may
be compiled. :data:`GROUP` vectors or rows are worked on at once, as an AES round takes some four
cycles of which each processor can begin several.
"""

# numba's decorators give no types
# mypy: disallow-untyped-decorators=False
# ruff: noqa: ARG001 - what an intrinsic is given at compile time are types, of which few matter

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

__all__ = [
    "GROUP",
    "ROUNDS",
    "ROW_BYTES",
    "SLOT",
    "add_counts",
    "add_row_column",
    "add_tags",
    "extend",
    "prepare",
    "write_short_rows",
]

GROUP = 8
ROUNDS = 10
SLOT = 64
ROW_BYTES = 64

_I32, _I64 = ir.IntType(32), ir.IntType(64)
_ALL = (1 << 64) - 1
_ROUND = {
    1: "llvm.x86.aesni.aesenc",
    2: "llvm.x86.aesni.aesenc.256",
    4: "llvm.x86.aesni.aesenc.512",
}


class _Blocks:
    """Vectors of some AES blocks, and what is done with them."""

    def __init__(self, builder: Any, width: int) -> None:
        self.builder = builder
        self.width = width
        self.size = 16 * width
        self.wide = ir.VectorType(_I64, 2 * width)
        self.narrow = ir.VectorType(_I32, 4 * width)

    def constant(self, low: int, high: int) -> Any:
        return ir.Constant(self.wide, [low, high] * self.width)

    def load(self, address: Any, offset: int = 0, kind: Any = None) -> Any:
        at = self.builder.add(address, ir.Constant(_I64, offset))
        pointer = self.builder.inttoptr(at, (kind or self.wide).as_pointer())
        return self.builder.load(pointer, align=4)

    def store(self, value: Any, address: Any, offset: int = 0) -> None:
        at = self.builder.add(address, ir.Constant(_I64, offset))
        pointer = self.builder.inttoptr(at, value.type.as_pointer())
        self.builder.store(value, pointer, align=4)

    def pick(self, value: Any, places: Sequence[int]) -> Any:
        chosen = ir.Constant(ir.VectorType(_I32, len(places)), list(places))
        return self.builder.shuffle_vector(value, value, chosen)

    def repeat(self, address: Any, offset: int = 0) -> Any:
        """Load one block into every place."""
        return self.pick(self.load(address, offset, ir.VectorType(_I64, 2)), [0, 1] * self.width)

    def splat(self, word: Any, places: int) -> Any:
        """Put one word of 64 bits into every place."""
        single = self.builder.insert_element(
            ir.Constant(ir.VectorType(_I64, 1), ir.Undefined), word, ir.Constant(_I32, 0)
        )
        return self.pick(single, [0] * places)

    def tweak(self, vector: int) -> Any:
        """Return the numbers of a vector's blocks, which tell the blocks of a row apart."""
        start = vector * self.width
        lanes = [start + lane if half == 0 else 0 for lane in range(self.width) for half in (0, 1)]
        return ir.Constant(self.wide, lanes)

    def sigma(self, labels: Any) -> Any:
        swapped = self.pick(
            labels, [2 * lane + half for lane in range(self.width) for half in (1, 0)]
        )
        return self.builder.xor(swapped, self.builder.and_(labels, self.constant(0, _ALL)))

    def control_masks(self, labels: Any) -> Any:
        words = self.builder.bitcast(labels, self.narrow)
        lowest = self.pick(words, [4 * lane for lane in range(self.width) for _ in range(4)])
        shift = ir.Constant(self.narrow, [31] * (4 * self.width))
        mask = self.builder.ashr(self.builder.shl(lowest, shift), shift)
        return self.builder.bitcast(mask, self.wide)

    def rounds(self, states: list[Any], schedules: list[Any]) -> list[Any]:
        """All but the first and the last step of AES; states take turns with the schedules.

        Rounds of all states go in step, so that none waits for another.
        """
        called = self.intrinsic(_ROUND[self.width])
        turns = len(states) // len(schedules)
        for index in range(1, ROUNDS):
            keys = [
                self.load(schedule, SLOT * index) for schedule in schedules for _ in range(turns)
            ]
            states = [
                self.builder.call(called, (state, key))
                for state, key in zip(states, keys, strict=True)
            ]
        return states

    def last_round(self, state: Any, key: Any) -> Any:
        called = self.intrinsic(_ROUND[self.width].replace("enc", "enclast"))
        return self.builder.call(called, (state, key))

    def intrinsic(self, name: str) -> Any:
        function = ir.FunctionType(self.wide, [self.wide, self.wide])
        return cgutils.get_or_insert_function(self.builder.module, function, name)

    def hashed(self, images: list[Any], schedules: list[Any]) -> list[list[Any]]:
        """`AES(x) ^ x` of the same x under each schedule."""
        xor = self.builder.xor
        states = [xor(image, self.load(key)) for key in schedules for image in images]
        states = self.rounds(states, schedules)
        results = []
        for index, schedule in enumerate(schedules):
            key = self.load(schedule, SLOT * ROUNDS)
            some = states[index * len(images) : (index + 1) * len(images)]
            # The last round key takes the feed-forward with it.
            results.append(
                [
                    self.last_round(state, xor(key, image))
                    for state, image in zip(some, images, strict=True)
                ]
            )
        return results

    def compress(self, halves: list[Any], words: Any, sums: Any, passes: int) -> None:
        """Add NH of consecutive halves of tags to vectors of sums."""
        low = ir.Constant(self.wide, [0xFFFFFFFF] * (2 * self.width))
        up = ir.Constant(self.wide, [32] * (2 * self.width))
        for index in range(passes):
            total = self.load(sums, SLOT * index)
            for place, half in enumerate(halves):
                key = self.load(words, place * self.size + 8 * index, self.narrow)
                pairs = self.builder.add(self.builder.bitcast(half, self.narrow), key)
                pairs = self.builder.bitcast(pairs, self.wide)
                product = self.builder.mul(
                    self.builder.and_(pairs, low), self.builder.lshr(pairs, up)
                )
                total = self.builder.add(total, product)
            self.store(total, sums, SLOT * index)


def _step(arguments: int, emit: Any) -> Any:
    """Return what numba asks of an intrinsic that takes addresses and gives nothing."""

    def build(context: Any, builder: Any, signature: Any, values: Any) -> Any:
        emit(builder, *values[:arguments])
        return context.get_dummy_value()

    return build


@intrinsic
def extend(
    typing_context: Any,
    labels: Any,
    left: Any,
    right: Any,
    schedule: Any,
    correction: Any,
    width: Any,
) -> Any:
    """Make the children of a group of vectors of labels; `left` may be `labels`."""

    def emit(
        builder: Any, labels: Any, left: Any, right: Any, schedule: Any, correction: Any
    ) -> None:
        blocks = _Blocks(builder, width.count)
        parents = [blocks.load(labels, place * blocks.size) for place in range(GROUP)]
        images = [blocks.sigma(parent) for parent in parents]
        correcting = blocks.repeat(correction)
        children = []
        for hashed, parent in zip(blocks.hashed(images, [schedule])[0], parents, strict=True):
            masked = builder.and_(correcting, blocks.control_masks(parent))
            children.append(builder.xor(hashed, masked))
        # All left ones first: of few labels, what is written beyond them is written over here.
        for place, child in enumerate(children):
            blocks.store(child, left, place * blocks.size)
        for place, (child, parent) in enumerate(zip(children, parents, strict=True)):
            blocks.store(builder.xor(child, parent), right, place * blocks.size)

    return types.void(*[types.uintp] * 5, width), _step(5, emit)


@intrinsic
def prepare(typing_context: Any, labels: Any, schedule: Any, prepared: Any, width: Any) -> Any:
    """Write what the columns of a group of rows have in common, in every place of a vector.

    For each label in turn: the first round key with sigma of the label, the last one with it, and
    the control mask, each in :data:`SLOT` bytes.
    """

    def emit(builder: Any, labels: Any, schedule: Any, prepared: Any) -> None:
        blocks = _Blocks(builder, width.count)
        first, last = blocks.load(schedule), blocks.load(schedule, SLOT * ROUNDS)
        for row in range(GROUP):
            label = blocks.repeat(labels, 16 * row)
            image = blocks.sigma(label)
            values = (builder.xor(image, first), builder.xor(image, last))
            for place, value in enumerate((*values, blocks.control_masks(label))):
                blocks.store(value, prepared, SLOT * (3 * row + place))

    return types.void(*[types.uintp] * 3, width), _step(3, emit)


@intrinsic
def add_row_column(
    typing_context: Any,
    prepared: Any,
    schedule: Any,
    counter: Any,
    correction: Any,
    target: Any,
    stride: Any,
    total: Any,
    width: Any,
) -> Any:
    """XOR one vector of each of a group of rows, `stride` bytes apart, into a table and a total.

    `counter` is the number of the vector's first block.
    """

    def emit(
        builder: Any,
        prepared: Any,
        schedule: Any,
        counter: Any,
        correction: Any,
        target: Any,
        stride: Any,
        total: Any,
    ) -> None:
        blocks = _Blocks(builder, width.count)
        counters = builder.and_(blocks.splat(counter, 2 * width.count), blocks.constant(_ALL, 0))
        tweak = builder.add(counters, blocks.tweak(0))
        starts = [blocks.load(prepared, SLOT * 3 * row) for row in range(GROUP)]
        states = blocks.rounds([builder.xor(start, tweak) for start in starts], [schedule])
        correcting = blocks.load(correction)
        sums = blocks.load(total)
        address = target
        for row, state in enumerate(states):
            value = blocks.last_round(state, blocks.load(prepared, SLOT * (3 * row + 1)))
            masked = builder.and_(correcting, blocks.load(prepared, SLOT * (3 * row + 2)))
            value = builder.xor(value, masked)
            sums = builder.xor(sums, value)
            blocks.store(builder.xor(blocks.load(address), value), address)
            address = builder.add(address, stride)
        blocks.store(sums, total)

    return types.void(*[types.uintp] * 7, width), _step(7, emit)


@intrinsic
def write_short_rows(
    typing_context: Any,
    labels: Any,
    schedule: Any,
    correction: Any,
    negative: Any,
    target: Any,
    table: Any,
    width: Any,
) -> Any:
    """Write the rows of :data:`ROW_BYTES` of as many labels as fill a group.

    `negative` is all ones if numbers are to be negated. What kind they are is the table's.
    """
    number = {32: _I32, 64: _I64}.get(table.dtype.bitwidth)
    vectors = ROW_BYTES // (16 * width.count)

    def emit(
        builder: Any, labels: Any, schedule: Any, correction: Any, negative: Any, target: Any
    ) -> None:
        blocks = _Blocks(builder, width.count)
        first, last = blocks.load(schedule), blocks.load(schedule, SLOT * ROUNDS)
        keys = [builder.xor(first, blocks.tweak(vector)) for vector in range(vectors)]
        parents = [blocks.repeat(labels, 16 * row) for row in range(GROUP // vectors)]
        images = [blocks.sigma(parent) for parent in parents]
        states = blocks.rounds([builder.xor(i, key) for i in images for key in keys], [schedule])
        for place, state in enumerate(states):
            row, vector = divmod(place, vectors)
            value = blocks.last_round(state, builder.xor(images[row], last))
            correcting = blocks.load(correction, blocks.size * vector)
            masked = builder.and_(correcting, blocks.control_masks(parents[row]))
            if number is None:
                value = builder.xor(value, masked)
            else:
                kind = ir.VectorType(number, 128 * width.count // number.width)
                value, masked = (builder.bitcast(part, kind) for part in (value, masked))
                sign = builder.bitcast(blocks.splat(negative, 2 * width.count), kind)
                value = builder.sub(builder.xor(builder.add(value, masked), sign), sign)
            blocks.store(value, target, blocks.size * place)

    return types.void(*[types.uintp] * 5, table, width), _step(5, emit)


def _tag_emitter(width: int, passes: int, counting: bool) -> Any:
    """Tags of a group of labels; if counting, also the numbers in their first words."""

    def emit(
        builder: Any,
        labels: Any,
        first: Any,
        second: Any,
        correction: Any,
        first_words: Any,
        second_words: Any,
        sums: Any,
        *numbers: Any,
    ) -> None:
        blocks = _Blocks(builder, width)
        parents = [
            blocks.load(labels, place * blocks.size) for place in range(GROUP // blocks.width)
        ]
        images = [blocks.sigma(parent) for parent in parents]
        masks = [blocks.control_masks(parent) for parent in parents]
        halves = blocks.hashed(images, [first, second])
        if counting:
            _add_numbers(blocks, halves[0], masks, *numbers)
            keep = blocks.constant(_ALL ^ 0xFFFFFFFF, _ALL)
            halves[0] = [builder.and_(half, keep) for half in halves[0]]
        for index, words in enumerate((first_words, second_words)):
            correcting = blocks.repeat(correction, 16 * index)
            corrected = [
                builder.xor(half, builder.and_(correcting, mask))
                for half, mask in zip(halves[index], masks, strict=True)
            ]
            blocks.compress(corrected, words, sums, passes)

    return emit


def _add_numbers(
    blocks: _Blocks,
    halves: list[Any],
    masks: list[Any],
    correction: Any,
    negative: Any,
    remove: Any,
    target: Any,
    total: Any,
    marks: Any,
    marked: Any,
) -> None:
    """Add the numbers of a group of labels to a total, and to a table or from it.

    The marks of odd numbers are added to `marked` by exclusive or.
    """
    builder = blocks.builder
    kind = ir.VectorType(_I32, GROUP)

    def gathered(vectors: list[Any]) -> Any:
        """Return the first word of each block."""
        firsts = [4 * lane for lane in range(blocks.width)]
        parts = [blocks.pick(builder.bitcast(part, blocks.narrow), firsts) for part in vectors]
        while len(parts) > 1:
            both = ir.Constant(
                ir.VectorType(_I32, 2 * parts[0].type.count), list(range(2 * parts[0].type.count))
            )
            pairs = zip(parts[::2], parts[1::2], strict=True)
            parts = [builder.shuffle_vector(left, right, both) for left, right in pairs]
        return parts[0]

    def sign(word: Any) -> Any:
        return builder.bitcast(blocks.splat(word, GROUP // 2), kind)

    correcting = builder.bitcast(blocks.splat(correction, GROUP // 2), kind)
    values = builder.add(gathered(halves), builder.and_(correcting, gathered(masks)))
    values = builder.sub(builder.xor(values, sign(negative)), sign(negative))
    blocks.store(builder.add(blocks.load(total, 0, kind), values), total)
    odd = builder.and_(values, ir.Constant(kind, [1] * GROUP))
    chosen = builder.and_(builder.neg(odd), blocks.load(marks, 0, kind))
    blocks.store(builder.xor(blocks.load(marked, 0, kind), chosen), marked)
    values = builder.sub(builder.xor(values, sign(remove)), sign(remove))
    blocks.store(builder.add(blocks.load(target, 0, kind), values), target)


@intrinsic
def add_tags(
    typing_context: Any,
    labels: Any,
    first: Any,
    second: Any,
    correction: Any,
    first_words: Any,
    second_words: Any,
    sums: Any,
    passes: Any,
    width: Any,
) -> Any:
    """Add the compressed tags of a group of labels; `passes` is a tuple of as many zeros."""
    emit = _tag_emitter(width.count, passes.count, counting=False)
    return types.void(*[types.uintp] * 7, passes, width), _step(7, emit)


@intrinsic
def add_counts(
    typing_context: Any,
    labels: Any,
    first: Any,
    second: Any,
    correction: Any,
    first_words: Any,
    second_words: Any,
    sums: Any,
    number: Any,
    negative: Any,
    remove: Any,
    target: Any,
    total: Any,
    marks: Any,
    marked: Any,
    passes: Any,
    width: Any,
) -> Any:
    """Do the same, and add the numbers of these labels to a table and a total.

    `number` is the correction of a number, twice in a word; `negative` and `remove` are all ones if
    numbers are negated, and taken off the table. To `marked` goes the exclusive or of the `marks`
    of these labels whose number is odd.
    """
    emit = _tag_emitter(width.count, passes.count, counting=True)
    return types.void(*[types.uintp] * 14, passes, width), _step(14, emit)
