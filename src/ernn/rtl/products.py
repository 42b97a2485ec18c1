"""Products: the array, the inverse transforms, and the gates memory that takes their results."""

from collections.abc import Callable
from itertools import pairwise

import numpy as np
from amaranth import Array as Choice
from amaranth import Cat, Const, Module, Mux, Signal, Value, signed
from amaranth.lib import data, memory

from ernn.rtl.arith import (
    added_by,
    delayed,
    delayed_flag,
    fitted,
    lanes_of,
    register,
    saturated,
)
from ernn.rtl.array import Array, Element, Held, Kind, combine, held
from ernn.rtl.player import Player
from ernn.rtl.rom import Rom
from ernn.rtl.rounding import rounded, rounded_lanes, rounded_twice
from ernn.rtl.rounds import Rounds, of_turn, precedes
from ernn.rtl.shared import Sharing
from ernn.rtl.shifter import Shifter
from ernn.rtl.sizes import Probe, Sizes, sized
from ernn.rtl.spectra import Spectra
from ernn.rtl.transform import transform_pipe
from ernn.rtl.vector import VectorUnit, turn_of
from ernn.scheduling.design import multipliers_per_pe
from ernn.scheduling.lines import address_bits
from ernn.scheduling.probes import probe_names
from ernn.scheduling.weight_banks import element_words

_OUTPUT = ("output_shift", "output_width")
_KEPT = ("keep", "resume", "sum")


class Products:
    """What the array's tape is about. After `build`, `fault` (with `Design.parity`) is high when a
    word of weights was read that has changed.
    """

    fault: Value

    def __init__(self, sizes: Sizes, player: Player) -> None:
        self.sizes, self.schedule, self.player = sizes, sizes.schedule, player
        self.model, self.design, self.pipeline = sizes.model, sizes.design, sizes.pipeline
        self.block, self.words = sizes.block, sizes.words

    def build(
        self,
        m: Module,
        vector: VectorUnit,
        spectra: Spectra,
        rounds: Rounds,
        release: Value,
        probe: Probe,
    ) -> None:
        """`release`: a flag a stream, high when a frame of the input is needed no more."""
        row, player, pipeline = self.player.row, self.player, self.pipeline
        turn = turn_of(row, self.sizes.streams)
        valid = of_turn([one.valid for one in rounds], turn, self.sizes.streams)
        clear = delayed(m, row["clear"] & (player.index == 0), pipeline.operand, "clear")
        store = player.active & row["drain"] & player.final
        stored = delayed_flag(m, store, pipeline.operand, "store")
        halves = self._halves(m)
        buses: list[list[data.View]] = [[] for _ in range(self.words)]
        for group, chains in enumerate(self._arrays(m)):
            name, word = str(group or ""), spectra.operand(m, group, player, rounds)
            for column, array in enumerate(chains):
                place = row["weights"] + player.index
                placed = delayed(m, place, pipeline.far, f"place{name}_{column}")
                m.d.sync += array.address.eq(placed)
                m.d.comb += [array.word.eq(word), array.clear.eq(clear), array.store.eq(stored)]
                m.d.comb += [getattr(array, name).eq(value) for name, value in halves.items()]
                buses[column].append(array.bus)
        ended = player.active & player.final & row["end"]
        released = Mux(ended, rounds[0].valid, 0)
        m.d.comb += release.eq(delayed_flag(m, released, pipeline.far, "released"))
        pushed = store if "tag" not in row else player.active & row["tag"] & player.final
        tags = self._leaving(m, store, pushed, valid, self._resumes(rounds))
        results = [self._sums(m, parts, tags, column) for column, parts in enumerate(buses)]
        self._gates(m, results, tags, vector, probe)

    def _halves(self, m: Module) -> dict[str, Value]:
        """What passes in parts tell the elements, with their operands."""
        if not self.schedule.layout.sums_in_elements:
            return {}
        row, later = self.player.row, self.pipeline.operand
        keep = self.player.active & row["keep"] & self.player.final
        resume = row["resume"] & (self.player.index == 0)
        return {
            "keep": delayed_flag(m, keep, later, "keep"),
            "resume": delayed(m, resume, later, "resume"),
            "sum": delayed(m, row["sum"], later, "sum"),
        }

    def _sums(
        self, m: Module, parts: list[data.View], tags: dict[str, Value], column: int
    ) -> list[Value]:
        """The results of one bus, of all groups together."""
        name = str(column) if self.words > 1 else ""
        sums = [
            added_by(
                m,
                [part[index] for part in parts],
                self.pipeline.summands,
                f"group{name}_{index}",
            )
            for index in range(multipliers_per_pe(self.block))
        ]
        bits = self.schedule.layout.accumulator_bits
        lanes = [fitted(one, bits) for one in combine(sums, self.block)]
        return self._product(m, lanes, tags, name)

    def _arrays(self, m: Module) -> list[list[Array]]:
        """Rows of elements by group and bus: row i of a pass is on bus i mod `words`."""
        layout, design = self.schedule.layout, self.design
        passes = [one for stage in layout.passes for one in stage]
        words = [
            [element_words(passes, group, pe) for pe in range(design.pes)]
            for group in range(design.splits)
        ]
        kind = self._kind(words)
        arrays = []
        for group in range(design.splits):
            chains = []
            for column, elements in enumerate(self._columns(words[group])):
                array = Array(kind, elements, late=column == self.words - 1)
                name = "array" if design.splits == 1 else f"array{group}_{column}"
                m.submodules[name] = array
                chains.append(array)
            _hand_on(m, [array.elements for array in chains])
            arrays.append(chains)
        if design.parity:
            self.fault = Cat(one.fault for row in arrays for one in row).any()
        return arrays

    def _columns(self, banks: list[np.ndarray]) -> list[list[Held]]:
        """A group's elements by bus. Those that share multipliers are neighbours of one bus."""
        columns, design = range(self.words), self.design
        if design.packed:
            return [held(banks[column :: self.words], design.sharing) for column in columns]
        every = held(banks, design.joined)
        return [every[column :: self.words] for column in columns]

    def _kind(self, words: list[list[np.ndarray]]) -> Kind:
        design, bits = self.design, self.model.weight_bits
        least = any((one == -1 << (bits - 1)).any() for group in words for one in group)
        return Kind(
            slices=self.schedule.layout.slices,
            block=self.block,
            data_bits=self.sizes.operand,
            weight_bits=bits,
            accumulator=self.schedule.layout.accumulator_bits,
            pipeline=self.pipeline,
            tail=design.tail,
            block_ram=design.block_ram,
            parity=design.parity,
            kept=self.schedule.layout.sums_in_elements,
            sharing=Sharing(design.packed, room=int(least)) if design.packed else None,
        )

    def _resumes(self, rounds: Rounds) -> dict[str, Value]:
        """Whether a row goes on with sums: of those made in the round before (`fresh`) only where
        that frame is of the same sequence."""
        row, missing = self.player.row, rounds[0].missing
        if "fresh" not in row:
            return {}
        absent = precedes(1, missing, self.sizes.remembered)
        return {"resume": row["resume"] & ~(row["fresh"] & absent)}

    def _leaving(
        self, m: Module, store: Value, pushed: Value, valid: Value, resumes: dict[str, Value]
    ) -> dict[str, Value]:
        """Tags of the rows as they leave the array, first row `timing.exit` cycles after `store`.

        Every part of a pass has tags of its own, `pushed` in order up to `store`; `more` says that
        another follows.
        """
        row = self.player.row
        keeps = _KEPT if self.schedule.layout.sums_at_exit else ()
        names = ("row", "rows", "kept", "rows_shift", "rows_width", *_OUTPUT, "more", *keeps)
        fields = {name: row[name] for name in names if name in row} | resumes
        fields["valid"] = valid
        parts = max(len(one.parts) for stage in self.schedule.layout.passes for one in stage)
        passes = (
            self.schedule.timing.exit // self._least_distance() + 2
        ) * parts  # tags under way at once
        bits = (passes - 1).bit_length()
        slots = {
            name: Choice(
                Signal(max(1, len(value)), name=f"pass{i}_{name}") for i in range(1 << bits)
            )
            for name, value in fields.items()
        }
        write, read = Signal(bits), Signal(bits)
        with m.If(pushed):
            m.d.sync += [
                write.eq(write + 1),
                *(slots[name][write].eq(value) for name, value in fields.items()),
            ]
        token = delayed_flag(m, store, self.schedule.timing.exit - 1, "leaving")
        tags = {
            name: Signal(max(1, len(value)), name=f"leaving_{name}")
            for name, value in fields.items()
        }
        tags["row"] = Signal(self.sizes.row, name="leaving_row")
        further = [(tags["row"], self._by_kept(tags["kept"], lambda kept: Const(kept)))]
        if keeps:
            places = self.schedule.layout.sums_at_exit
            tags["sum"] = Signal(address_bits(places), name="leaving_sum")
            further.append((tags["sum"], Const(1)))
        left = Signal(max(1, len(row["rows"])))
        busy = Signal()
        with m.If(token | (tags["more"] & busy & (left == 0)) if "more" in tags else token):
            m.d.sync += [tags[name].eq(slots[name][read]) for name in tags]
            m.d.sync += [read.eq(read + 1), left.eq(slots["rows"][read] - 1), busy.eq(1)]
        with m.Elif(left != 0):
            m.d.sync += [left.eq(left - 1), *(tag.eq(tag + step) for tag, step in further)]
        with m.Else():
            m.d.sync += busy.eq(0)
        if keeps:
            tags["keep"] = busy & tags["keep"]
            return tags | {"write": busy & tags["valid"] & ~tags["keep"]}
        return tags | {"write": busy & tags["valid"]}

    def _least_distance(self) -> int:
        """Fewest cycles between two passes' last columns: results leave one a cycle, and no pass is
        shorter.
        """
        shortest = min(one.length for stage in self.schedule.layout.passes for one in stage)
        return max(self.design.pes // self.words, shortest)

    def _product(
        self, m: Module, lanes: list[Value], tags: dict[str, Value], name: str
    ) -> list[Value]:
        """Sums of one row to its results, on one of the buses."""
        timing = self.schedule.timing
        combined = lanes
        if timing.combine:
            combined = [register(m, lane, f"combined{name}_{i}") for i, lane in enumerate(lanes)]
        if self.schedule.layout.sums_at_exit:
            combined = self._with_kept(m, combined, tags, name)
        by = self._rows_shift(m, tags, name)
        if timing.passed.second:
            return self._at_once(m, combined, by, tags, name)
        shifts, pipeline = self.schedule.shifts, self.pipeline
        shifter = Shifter(m, by, shifts.rows, pipeline.shift, f"rows{name}")
        exact = [
            rounded(m, lane, shifter, f"rows{name}_round{i}") for i, lane in enumerate(combined)
        ]
        until = timing.combine + pipeline.shift + 1
        limit = delayed(m, tags["rows_width"], until, f"rows_width{name}")
        rows: list[Value] = [
            saturated(m, lane, shifts.widths, limit, f"rows{name}_lane{i}", pipeline.fit)
            for i, lane in enumerate(exact)
        ]
        largest = 1 << (shifts.widths[-1] - 1)
        moved = transform_pipe(
            m, rows, largest, self.model.inverse, f"inverse{name and name + '_'}", pipeline
        )
        by, which = (
            delayed(m, tags[tag], timing.rows + timing.inverse, f"{tag}{name}") for tag in _OUTPUT
        )
        bits, label = self.sizes.width, f"gates{name}"
        return rounded_lanes(
            m, moved, by, shifts.output, which, shifts.outputs, bits, label, pipeline
        )

    def _with_kept(
        self, m: Module, sums: list[Value], tags: dict[str, Value], name: str
    ) -> list[Value]:
        """A row's sums, and what is kept of its passes before, which they may be kept beside."""
        combine, size = self.schedule.timing.combine, len(sums[0])
        keep = delayed_flag(m, tags["keep"], combine, f"keep{name}")
        resume, place = (delayed(m, tags[one], combine, f"{one}{name}") for one in _KEPT[1:])
        depth = self.schedule.layout.sums_at_exit
        kept = memory.Memory(shape=size * len(sums), depth=depth, init=[])
        m.submodules[f"sums{name}"] = kept
        write, read = kept.write_port(), kept.read_port(domain="comb")
        before = lanes_of(Mux(resume, read.data, 0), size, len(sums))
        whole = [Signal(signed(size), name=f"whole{name}_{i}") for i in range(len(sums))]
        m.d.comb += [
            read.addr.eq(place),
            *(now.eq(one + other) for now, one, other in zip(whole, sums, before, strict=True)),
            write.addr.eq(place),
            write.data.eq(Cat(whole)),
            write.en.eq(keep),
        ]
        return list[Value](whole)

    def _at_once(
        self, m: Module, sums: list[Value], by: Value, tags: dict[str, Value], name: str
    ) -> list[Value]:
        """Both roundings of a dense network's sums."""
        shifts, pipeline, combine = (
            self.schedule.shifts,
            self.pipeline,
            self.schedule.timing.combine,
        )
        until = combine + pipeline.shift + 1
        then = delayed(m, tags["output_shift"], combine, f"output_shift{name}")
        which = delayed(m, tags["output_width"], until, f"output_width{name}")
        shifter = Shifter(m, by, shifts.rows, 0, f"gates{name}")
        results = []
        for i, lane in enumerate(sums):
            exact = rounded_twice(
                m, lane, shifter, then, shifts.output, f"gates{name}_{i}", pipeline.shift
            )
            label, bits = f"gates{name}_lane{i}", self.sizes.width
            results.append(
                saturated(m, exact, shifts.outputs, which, label, pipeline.fit, width=bits)
            )
        return results

    def _rows_shift(self, m: Module, tags: dict[str, Value], name: str) -> Value:
        """What a row's sums are shifted by, `Timing.combine` cycles after its tags: the product's,
        or the row's own, which a memory holds.
        """
        shifts, combine = self.schedule.shifts, self.schedule.timing.combine
        if (own := shifts.of_rows) is None:
            return delayed(m, tags["rows_shift"], combine, f"rows_shift{name}")
        bits, least = address_bits(len(shifts.rows)), self.schedule.layout.kept[-1]
        table = Rom(own[int(name or 0)], bits, self.design.block_ram)
        m.submodules[f"row_shifts{name}"] = table
        m.d.comb += table.address.eq(tags["row"][least.bit_length() - 1 :])
        return delayed(m, table.data, combine - 1, f"rows_shift{name}")

    def _gates(
        self,
        m: Module,
        results: list[list[Value]],
        tags: dict[str, Value],
        vector: VectorUnit,
        probe: Probe,
    ) -> None:
        """A word for a block row, or the part that it keeps, of each bus in a bank of its own."""
        timing = self.schedule.timing
        delay = timing.rows + timing.inverse + timing.results
        write = delayed_flag(m, tags["write"], delay, "gates_write")
        row, which = (delayed(m, tags[name], delay, f"gates_{name}") for name in ("row", "kept"))
        bits, least = self.block.bit_length() - 1, self.schedule.layout.kept[-1]
        part = self._by_kept(which, lambda kept: self._written(row[:bits], kept, least))
        words, written = [], []
        for column, name in enumerate(probe_names("product", self.words)):
            word = self._by_kept(which, lambda kept, of=results[column]: self._spread(of, kept))
            gates = memory.Memory(
                shape=self.sizes.word, depth=self.schedule.layout.gates_total, init=[]
            )
            m.submodules[f"gates{column or ''}"] = gates
            port, read = (
                gates.write_port(
                    granularity=least * self.sizes.width if least < self.block else None
                ),
                gates.read_port(),
            )
            enables, store = Mux(write, part, 0)[: len(port.en)], self.pipeline.store
            m.d.comb += [
                port.addr.eq(delayed(m, row[bits:], store, f"gates{column or ''}_address")),
                port.data.eq(delayed(m, word, store, f"gates{column or ''}_word")),
                port.en.eq(delayed_flag(m, enables, store, f"gates{column or ''}_enables")),
                read.addr.eq(vector.gate_address),
            ]
            words.append(read.data)
            written.append(port.data)
            probe(m, name, write, Cat(sized(row, self.sizes.row), which), word)
        m.d.comb += vector.gate_word.eq(Cat(*words))
        if vector.takes_gates:
            m.d.comb += vector.gate_written.eq(Cat(*written))

    def _by_kept(self, which: Value, of: Callable[[int], Value]) -> Value:
        """What rows that keep so many numbers have."""
        first, *others = map(of, self.schedule.layout.kept)
        chosen = first
        for number, value in enumerate(others, 1):
            chosen = Mux(which == number if len(others) > 1 else which, value, chosen)
        return chosen

    def _spread(self, results: list[Value], kept: int) -> Value:
        """The numbers that are kept, evenly apart, in every part of a word."""
        return Cat(results[:: self.block // kept] * (self.block // kept))

    def _written(self, number: Value, kept: int, least: int) -> Value:
        """Which parts of `least` numbers of a word a row writes, whose first has this `number`."""
        if kept == self.block:
            return Const(-1, self.block // least)
        one = 1 << number[kept.bit_length() - 1 :]
        return Cat(one[at // (kept // least)] for at in range(self.block // least))


def _hand_on(m: Module, columns: list[list[Element]]) -> None:
    """Weights from each element that holds others' to that of the next row."""
    rows = [element for side in zip(*columns, strict=True) for element in side]
    for one, following in pairwise(rows):
        if one.behind:
            m.d.comb += following.weights.eq(one.next_weights)
