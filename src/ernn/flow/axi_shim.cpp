// Drives a Verilated design with AXI4-Streams, whole arrays per call. One Session is one running simulation.
//
// A cycle is: drive inputs, settle, look at every handshake and probe, rising edge. Cycle 0 is the first after reset.
// Ports are bytes to it (design_ports.h), so that it is compiled once for all designs.

#include "verilated.h"

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "design_ports.h"

void Ports::add(const Probe& probe) { probes.push_back(probe); }
void Ports::add(const Port& event) { events.push_back(event); }

namespace {

constexpr int RESET_CYCLES = 4;
constexpr size_t VIOLATIONS_KEPT = 1000;

// Recorded columns: byte strings of fixed stride. The numbers are shared with simulate.py.
enum Column { OUT_DATA, OUT_TID, OUT_FIRST, OUT_LAST, OUT_CYCLE, IN_CYCLE, VIOLATION_CYCLE, VIOLATION_RULE, PROBES };
enum Rule : uint8_t { VALID_DROPPED, PAYLOAD_CHANGED };

struct Bytes {
    std::vector<uint8_t> held;
    void add(const void* from, size_t size) {
        const auto* bytes = static_cast<const uint8_t*>(from);
        held.insert(held.end(), bytes, bytes + size);
    }
    void add(const Port& port) { add(port.bytes, port.size); }
    void add(uint64_t value) { add(&value, sizeof(value)); }
    void add_byte(uint8_t value) { held.push_back(value); }
};

inline bool high(const Port& port) { return *static_cast<const uint8_t*>(port.bytes); }
inline void set(const Port& port, bool value) { *static_cast<uint8_t*>(port.bytes) = value; }

uint64_t number(const Port& port) {
    uint64_t value = 0;
    std::memcpy(&value, port.bytes, port.size);
    return value;
}

void set_bytes(const Port& port, const void* from, size_t size) {
    std::memset(port.bytes, 0, port.size);
    std::memcpy(port.bytes, from, size);
}

struct Stall {
    const uint8_t* pattern;  // one flag per cycle, repeated; or, where length is 0,
    uint64_t length;
    uint64_t probability;  // of a stall, times 2^32
    uint64_t seed;
};

struct Random {  // xorshift64*
    uint64_t state;
    explicit Random(uint64_t seed) : state(seed * 0x9E3779B97F4A7C15ull + 0xD1B54A32D192ED03ull) { state += !state; }
    uint64_t next() {
        state ^= state >> 12;
        state ^= state << 25;
        state ^= state >> 27;
        return (state * 0x2545F4914F6CDD1Dull) >> 32;
    }
};

}  // namespace

extern "C" {
struct Stimulus {
    const uint8_t* data;  // beats rows of beat_bytes
    const uint32_t* tid;
    const uint8_t* first;
    const uint8_t* last;
    uint64_t beats, beat_bytes;
    Stall in, out;
    const uint8_t* recorded;  // one flag per probe
    uint64_t expected;        // output beats
};
}

namespace {

struct Session {
    Stimulus stimulus;
    VerilatedContext context;
    Vdut* dut;
    Ports ports;
    std::vector<Bytes> columns;
    Random random_in, random_out;
    uint64_t cycle = 0, accepted = 0, received = 0;
    bool offering = false, pending = false;  // pending: an output beat was offered and not taken in the last cycle
    std::vector<uint8_t> offered;

    Session(const Stimulus& s, const char* memories)
        : stimulus(s), random_in(s.in.seed), random_out(s.out.seed) {
        const char* arguments[] = {"simulation", memories};
        context.commandArgs(2, arguments);
        dut = design_new(&context);
        design_ports(dut, ports);
        restart();
    }
    ~Session() { design_delete(dut); }

    void edge() {
        set(ports.clk, true);
        design_eval(dut);
        set(ports.clk, false);
    }

    // Reset, and forget all that was recorded: the stimulus begins again from its first beat.
    void restart() {
        columns.clear();
        columns.resize(PROBES + 3 * (ports.probes.size() + ports.events.size()));
        random_in = Random(stimulus.in.seed);
        random_out = Random(stimulus.out.seed);
        cycle = accepted = received = 0;
        offering = pending = false;
        set(ports.in.tvalid, false);
        set(ports.out.tready, false);
        set(ports.rst, true);
        for (int i = 0; i < RESET_CYCLES; ++i) {
            design_eval(dut);
            edge();
        }
        set(ports.rst, false);
    }

    bool stalls(const Stall& stall, Random& random) {
        if (stall.length) return stall.pattern[cycle % stall.length];
        return stall.probability && random.next() < stall.probability;
    }

    // Once offered, a beat stays offered until it is taken: a master may not look at ready.
    void offer() {
        const bool stalled = stalls(stimulus.in, random_in);
        if (!offering && accepted < stimulus.beats && !stalled) {
            offering = true;
            set_bytes(ports.in.tdata, stimulus.data + accepted * stimulus.beat_bytes, stimulus.beat_bytes);
            const uint64_t tid = stimulus.tid[accepted];
            set_bytes(ports.in.tid, &tid, ports.in.tid.size);
            set(ports.in.tuser, stimulus.first[accepted]);
            set(ports.in.tlast, stimulus.last[accepted]);
        }
        set(ports.in.tvalid, offering);
    }

    void violation(Rule rule) {
        if (columns[VIOLATION_CYCLE].held.size() >= VIOLATIONS_KEPT * sizeof(cycle)) return;
        columns[VIOLATION_CYCLE].add(cycle);
        columns[VIOLATION_RULE].add_byte(rule);
    }

    std::vector<uint8_t> payload() const {
        Bytes all;
        for (const Port& port : {ports.out.tdata, ports.out.tid, ports.out.tuser, ports.out.tlast}) all.add(port);
        return std::move(all.held);
    }

    void check_output() {
        if (!high(ports.out.tvalid)) {
            if (pending) violation(VALID_DROPPED);
            pending = false;
            return;
        }
        std::vector<uint8_t> now;
        if (pending || !high(ports.out.tready)) now = payload();
        if (pending && now != offered) violation(PAYLOAD_CHANGED);
        pending = !high(ports.out.tready);
        if (pending) offered = std::move(now);
    }

    void take_output() {
        const auto tid = static_cast<uint32_t>(number(ports.out.tid));
        columns[OUT_DATA].add(ports.out.tdata);
        columns[OUT_TID].add(&tid, sizeof(tid));
        columns[OUT_FIRST].add_byte(high(ports.out.tuser));
        columns[OUT_LAST].add_byte(high(ports.out.tlast));
        columns[OUT_CYCLE].add(cycle);
        ++received;
    }

    void probe(size_t index, const Probe& one) {
        if (!high(one.enabled) || !stimulus.recorded[index]) return;
        Bytes* column = &columns[PROBES + 3 * index];
        column[0].add(cycle);
        column[1].add(number(one.address));
        column[2].add(one.data);
    }

    void event(size_t index, const Port& port) {
        if (high(port) && stimulus.recorded[index]) columns[PROBES + 3 * index].add(cycle);
    }

    void look() {
        if (offering && high(ports.in.tready)) {
            columns[IN_CYCLE].add(cycle);
            ++accepted;
            offering = false;
        }
        check_output();
        if (high(ports.out.tvalid) && high(ports.out.tready)) take_output();
        size_t index = 0;
        for (const Probe& one : ports.probes) probe(index++, one);
        for (const Port& one : ports.events) event(index++, one);
    }

    void step() {
        offer();
        set(ports.out.tready, !stalls(stimulus.out, random_out));
        design_eval(dut);
        look();
        edge();
        ++cycle;
    }
};

}  // namespace

extern "C" {

Session* session_new(const Stimulus* stimulus, const char* memories) { return new Session(*stimulus, memories); }
void session_delete(Session* session) { delete session; }
void session_restart(Session* session) { session->restart(); }

// At most `cycles` more cycles; stops after the last expected beat unless `past_end`. Returns the cycles done in all.
uint64_t session_advance(Session* session, uint64_t cycles, int past_end) {
    while (cycles-- && (past_end || session->received < session->stimulus.expected)) session->step();
    return session->cycle;
}

uint64_t session_received(const Session* session) { return session->received; }
uint64_t session_accepted(const Session* session) { return session->accepted; }
uint64_t column_bytes(const Session* session, int column) { return session->columns[column].held.size(); }
const uint8_t* column_data(const Session* session, int column) { return session->columns[column].held.data(); }

// Bytes per row of a probe's data column; 0 for an event.
int probe_stride(const Session* session, int wanted) {
    const auto& probes = session->ports.probes;
    return static_cast<size_t>(wanted) < probes.size() ? probes[wanted].data.size : 0;
}

int output_stride(const Session* session) { return session->ports.out.tdata.size; }
}
