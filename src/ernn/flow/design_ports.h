// What axi_shim.cpp knows of a design: where its ports lie, and how many bytes each has.
//
// Verilator keeps a port in 1, 2, 4 or 8 bytes, or in 32-bit words, the lowest first: these bytes in order are its
// number, as this assumes a little-endian machine.

#pragma once

#include <cstdint>
#include <vector>

class VerilatedContext;
class Vdut;

struct Port {
    void* bytes;
    uint64_t size;
};

struct Axis {
    Port tdata, tvalid, tready, tlast, tuser, tid;
};

struct Probe {
    Port enabled, address, data;
};

struct Ports {
    Port clk, rst;
    Axis in, out;
    std::vector<Probe> probes;
    std::vector<Port> events;

    void add(const Probe& probe);
    void add(const Port& event);
};

Vdut* design_new(VerilatedContext* context);
void design_delete(Vdut* dut);
void design_eval(Vdut* dut);
void design_ports(Vdut* dut, Ports& ports);
