// Drives a Verilated design with AXI4-Streams, whole arrays per call. One Session is one running simulation.
//
// Vdut.h is what Verilator made of the design; probes.inc lists its probe and event ports: PROBE(name) EVENT(port).
// A cycle is: drive inputs, settle, look at every handshake and probe, rising edge. Cycle 0 is the first after reset.
// Ports are copied as bytes: this assumes a little-endian machine, as Verilator's wide ports are 32-bit words in order.

#include <cstdint>
#include <cstring>
#include <memory>
#include <vector>

#include "Vdut.h"
#include "verilated.h"

double sc_time_stamp() { return 0; }

namespace {

constexpr int RESET_CYCLES = 4;
constexpr size_t VIOLATIONS_KEPT = 1000;

// Recorded columns: byte strings of fixed stride. The numbers are shared with simulate.py.
enum Column { OUT_DATA, OUT_TID, OUT_FIRST, OUT_LAST, OUT_CYCLE, IN_CYCLE, VIOLATION_CYCLE, VIOLATION_RULE, PROBES };
enum Rule : uint8_t { VALID_DROPPED, PAYLOAD_CHANGED };

#define PROBE(name) +1
#define EVENT(port) +1
constexpr int PROBE_COUNT = 0
#include "probes.inc"
    ;
#undef PROBE
#undef EVENT

struct Bytes {
    std::vector<uint8_t> held;
    template <class T> void add(const T& value) {
        const auto* from = reinterpret_cast<const uint8_t*>(&value);
        held.insert(held.end(), from, from + sizeof(T));
    }
};

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
    std::unique_ptr<Vdut> dut;
    std::vector<Bytes> columns;
    Random random_in, random_out;
    uint64_t cycle = 0, accepted = 0, received = 0;
    bool offering = false, pending = false;  // pending: an output beat was offered and not taken in the last cycle
    std::vector<uint8_t> offered;

    Session(const Stimulus& s, const char* memories)
        : stimulus(s), random_in(s.in.seed), random_out(s.out.seed) {
        const char* arguments[] = {"simulation", memories};
        context.commandArgs(2, arguments);
        dut = std::make_unique<Vdut>(&context, "top");
        restart();
    }
    ~Session() { dut->final(); }

    void edge() {
        dut->clk = 1;
        dut->eval();
        dut->clk = 0;
    }

    // Reset, and forget all that was recorded: the stimulus begins again from its first beat.
    void restart() {
        columns.clear();
        columns.resize(PROBES + 3 * PROBE_COUNT);
        random_in = Random(stimulus.in.seed);
        random_out = Random(stimulus.out.seed);
        cycle = accepted = received = 0;
        offering = pending = false;
        dut->s_axis_tvalid = 0;
        dut->m_axis_tready = 0;
        dut->rst = 1;
        for (int i = 0; i < RESET_CYCLES; ++i) {
            dut->eval();
            edge();
        }
        dut->rst = 0;
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
            std::memset(&dut->s_axis_tdata, 0, sizeof(dut->s_axis_tdata));
            std::memcpy(&dut->s_axis_tdata, stimulus.data + accepted * stimulus.beat_bytes, stimulus.beat_bytes);
            dut->s_axis_tid = stimulus.tid[accepted];
            dut->s_axis_tuser = stimulus.first[accepted];
            dut->s_axis_tlast = stimulus.last[accepted];
        }
        dut->s_axis_tvalid = offering;
    }

    void violation(Rule rule) {
        if (columns[VIOLATION_CYCLE].held.size() >= VIOLATIONS_KEPT * sizeof(cycle)) return;
        columns[VIOLATION_CYCLE].add(cycle);
        columns[VIOLATION_RULE].add(static_cast<uint8_t>(rule));
    }

    std::vector<uint8_t> payload() const {
        Bytes all;
        all.add(dut->m_axis_tdata);
        all.add(dut->m_axis_tid);
        all.add(dut->m_axis_tuser);
        all.add(dut->m_axis_tlast);
        return std::move(all.held);
    }

    void check_output() {
        if (!dut->m_axis_tvalid) {
            if (pending) violation(VALID_DROPPED);
            pending = false;
            return;
        }
        std::vector<uint8_t> now;
        if (pending || !dut->m_axis_tready) now = payload();
        if (pending && now != offered) violation(PAYLOAD_CHANGED);
        pending = !dut->m_axis_tready;
        if (pending) offered = std::move(now);
    }

    void take_output() {
        columns[OUT_DATA].add(dut->m_axis_tdata);
        columns[OUT_TID].add(static_cast<uint32_t>(dut->m_axis_tid));
        columns[OUT_FIRST].add(static_cast<uint8_t>(dut->m_axis_tuser));
        columns[OUT_LAST].add(static_cast<uint8_t>(dut->m_axis_tlast));
        columns[OUT_CYCLE].add(cycle);
        ++received;
    }

    template <class Address, class Data> void probe(int index, bool enabled, const Address& address, const Data& data) {
        if (!enabled || !stimulus.recorded[index]) return;
        const int column = PROBES + 3 * index;
        columns[column].add(cycle);
        columns[column + 1].add(static_cast<uint64_t>(address));
        columns[column + 2].add(data);
    }

    void event(int index, bool enabled) {
        if (enabled && stimulus.recorded[index]) columns[PROBES + 3 * index].add(cycle);
    }

    void look() {
        if (offering && dut->s_axis_tready) {
            columns[IN_CYCLE].add(cycle);
            ++accepted;
            offering = false;
        }
        check_output();
        if (dut->m_axis_tvalid && dut->m_axis_tready) take_output();
        int index = 0;
#define PROBE(name) probe(index++, dut->probe_##name##_en, dut->probe_##name##_addr, dut->probe_##name##_data);
#define EVENT(port) event(index++, dut->port);
#include "probes.inc"
        (void)index;
    }

    void step() {
        offer();
        dut->m_axis_tready = !stalls(stimulus.out, random_out);
        dut->eval();
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
    int index = 0, stride = 0;
    const Vdut* dut = session->dut.get();
#undef PROBE
#undef EVENT
#define PROBE(name) if (index++ == wanted) stride = sizeof(dut->probe_##name##_data);
#define EVENT(port) ++index;
#include "probes.inc"
    (void)dut;
    return stride;
}

int output_stride(const Session* session) { return sizeof(session->dut->m_axis_tdata); }
}
