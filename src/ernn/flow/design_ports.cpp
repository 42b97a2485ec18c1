// The one file between axi_shim.cpp, which is compiled once for all designs, and what Verilator made of this one.
//
// probes.inc lists its probe and event ports: PROBE(name) EVENT(port).

#include "Vdut.h"
#include "design_ports.h"

double sc_time_stamp() { return 0; }

Vdut* design_new(VerilatedContext* context) { return new Vdut(context, "top"); }

void design_delete(Vdut* dut) {
    dut->final();
    delete dut;
}

void design_eval(Vdut* dut) { dut->eval(); }

#define PORT(name) {&dut->name, sizeof(dut->name)}
#define AXIS(side) \
    {PORT(side##_tdata), PORT(side##_tvalid), PORT(side##_tready), PORT(side##_tlast), PORT(side##_tuser), \
     PORT(side##_tid)}
#define PROBE(name) ports.add(Probe{PORT(probe_##name##_en), PORT(probe_##name##_addr), PORT(probe_##name##_data)});
#define EVENT(port) ports.add(Port PORT(port));

void design_ports(Vdut* dut, Ports& ports) {
    ports.clk = PORT(clk);
    ports.rst = PORT(rst);
    ports.in = AXIS(s_axis);
    ports.out = AXIS(m_axis);
#include "probes.inc"
}
