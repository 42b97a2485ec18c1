// What the engine uses of two hard blocks of Lattice ECP5 that Yosys has no simulation model of.
// Ports and parameters as Yosys and nextpnr name them; behaviour after Lattice's "ECP5 and ECP5-5G Memory Usage Guide"
// and "sysDSP Usage Guide".  One clock, no resets, no cascades.

// 18 x 18 multiplier; REG_INPUTA_CLK, REG_INPUTB_CLK, REG_OUTPUT_CLK: "NONE" or "CLK0".
module MULT18X18D (
    input A0, A1, A2, A3, A4, A5, A6, A7, A8, A9, A10, A11, A12, A13, A14, A15, A16, A17, B0, B1, B2, B3, B4, B5,
      B6, B7, B8, B9, B10, B11, B12, B13, B14, B15, B16, B17, C0, C1, C2, C3, C4, C5, C6, C7, C8, C9, C10, C11, C12,
      C13, C14, C15, C16, C17, SIGNEDA, SIGNEDB, SOURCEA, SOURCEB, CLK0, CE0, RST0,
    output P0, P1, P2, P3, P4, P5, P6, P7, P8, P9, P10, P11, P12, P13, P14, P15, P16, P17, P18, P19, P20, P21, P22,
      P23, P24, P25, P26, P27, P28, P29, P30, P31, P32, P33, P34, P35
);
  parameter REG_INPUTA_CLK = "NONE";
  parameter REG_INPUTB_CLK = "NONE";
  parameter REG_OUTPUT_CLK = "NONE";
  parameter REG_INPUTA_CE = "CE0";
  parameter REG_INPUTB_CE = "CE0";
  parameter REG_OUTPUT_CE = "CE0";
  parameter REG_INPUTA_RST = "RST0";
  parameter REG_INPUTB_RST = "RST0";
  parameter REG_OUTPUT_RST = "RST0";
  wire [17:0] a = {A17, A16, A15, A14, A13, A12, A11, A10, A9, A8, A7, A6, A5, A4, A3, A2, A1, A0};
  wire [17:0] b = {B17, B16, B15, B14, B13, B12, B11, B10, B9, B8, B7, B6, B5, B4, B3, B2, B1, B0};
  reg [17:0] a_later = 0, b_later = 0;
  reg [35:0] p_later = 0;
  wire [17:0] left = REG_INPUTA_CLK == "NONE" ? a : a_later;
  wire [17:0] right = REG_INPUTB_CLK == "NONE" ? b : b_later;
  wire [35:0] left_wide = {{18{SIGNEDA & left[17]}}, left};
  wire [35:0] right_wide = {{18{SIGNEDB & right[17]}}, right};
  wire [35:0] p = left_wide * right_wide;
  always @(posedge CLK0) begin
    a_later <= a;
    b_later <= b;
    p_later <= p;
  end
  assign {P35, P34, P33, P32, P31, P30, P29, P28, P27, P26, P25, P24, P23, P22, P21, P20, P19, P18, P17, P16, P15,
    P14, P13, P12, P11, P10, P9, P8, P7, P6, P5, P4, P3, P2, P1, P0} = REG_OUTPUT_CLK == "NONE" ? p : p_later;
endmodule

// 18 kbit block RAM: true dual port of 1, 2, 4, 9 or 18 bits, or (DATA_WIDTH_A = 36) written by A and read by B.
// REGMODE_A, REGMODE_B: "NOREG" or "OUTREG".  What is read in the cycle in which it is written is undefined; here it
// comes inverted, so that a design that counts on it differs.
module DP16KD (
    input DIA0, DIA1, DIA2, DIA3, DIA4, DIA5, DIA6, DIA7, DIA8, DIA9, DIA10, DIA11, DIA12, DIA13, DIA14, DIA15,
      DIA16, DIA17, ADA0, ADA1, ADA2, ADA3, ADA4, ADA5, ADA6, ADA7, ADA8, ADA9, ADA10, ADA11, ADA12, ADA13, CEA,
      OCEA, CLKA, WEA, RSTA, CSA0, CSA1, CSA2,
    input DIB0, DIB1, DIB2, DIB3, DIB4, DIB5, DIB6, DIB7, DIB8, DIB9, DIB10, DIB11, DIB12, DIB13, DIB14, DIB15,
      DIB16, DIB17, ADB0, ADB1, ADB2, ADB3, ADB4, ADB5, ADB6, ADB7, ADB8, ADB9, ADB10, ADB11, ADB12, ADB13, CEB,
      OCEB, CLKB, WEB, RSTB, CSB0, CSB1, CSB2,
    output DOA0, DOA1, DOA2, DOA3, DOA4, DOA5, DOA6, DOA7, DOA8, DOA9, DOA10, DOA11, DOA12, DOA13, DOA14, DOA15,
      DOA16, DOA17, DOB0, DOB1, DOB2, DOB3, DOB4, DOB5, DOB6, DOB7, DOB8, DOB9, DOB10, DOB11, DOB12, DOB13, DOB14,
      DOB15, DOB16, DOB17
);
  parameter DATA_WIDTH_A = 18;
  parameter DATA_WIDTH_B = 18;
  parameter REGMODE_A = "NOREG";
  parameter REGMODE_B = "NOREG";
  parameter CLKAMUX = "CLKA";
  parameter CLKBMUX = "CLKB";
  parameter CSDECODE_A = "0b000";
  parameter CSDECODE_B = "0b000";
  parameter WRITEMODE_A = "NORMAL";
  parameter WRITEMODE_B = "NORMAL";
  parameter RESETMODE = "SYNC";
  parameter ASYNC_RESET_RELEASE = "SYNC";
  parameter GSR = "DISABLED";
  parameter [319:0] INITVAL_00 = 0;
  parameter [319:0] INITVAL_01 = 0;
  parameter [319:0] INITVAL_02 = 0;
  parameter [319:0] INITVAL_03 = 0;
  parameter [319:0] INITVAL_04 = 0;
  parameter [319:0] INITVAL_05 = 0;
  parameter [319:0] INITVAL_06 = 0;
  parameter [319:0] INITVAL_07 = 0;
  parameter [319:0] INITVAL_08 = 0;
  parameter [319:0] INITVAL_09 = 0;
  parameter [319:0] INITVAL_0A = 0;
  parameter [319:0] INITVAL_0B = 0;
  parameter [319:0] INITVAL_0C = 0;
  parameter [319:0] INITVAL_0D = 0;
  parameter [319:0] INITVAL_0E = 0;
  parameter [319:0] INITVAL_0F = 0;
  parameter [319:0] INITVAL_10 = 0;
  parameter [319:0] INITVAL_11 = 0;
  parameter [319:0] INITVAL_12 = 0;
  parameter [319:0] INITVAL_13 = 0;
  parameter [319:0] INITVAL_14 = 0;
  parameter [319:0] INITVAL_15 = 0;
  parameter [319:0] INITVAL_16 = 0;
  parameter [319:0] INITVAL_17 = 0;
  parameter [319:0] INITVAL_18 = 0;
  parameter [319:0] INITVAL_19 = 0;
  parameter [319:0] INITVAL_1A = 0;
  parameter [319:0] INITVAL_1B = 0;
  parameter [319:0] INITVAL_1C = 0;
  parameter [319:0] INITVAL_1D = 0;
  parameter [319:0] INITVAL_1E = 0;
  parameter [319:0] INITVAL_1F = 0;
  parameter [319:0] INITVAL_20 = 0;
  parameter [319:0] INITVAL_21 = 0;
  parameter [319:0] INITVAL_22 = 0;
  parameter [319:0] INITVAL_23 = 0;
  parameter [319:0] INITVAL_24 = 0;
  parameter [319:0] INITVAL_25 = 0;
  parameter [319:0] INITVAL_26 = 0;
  parameter [319:0] INITVAL_27 = 0;
  parameter [319:0] INITVAL_28 = 0;
  parameter [319:0] INITVAL_29 = 0;
  parameter [319:0] INITVAL_2A = 0;
  parameter [319:0] INITVAL_2B = 0;
  parameter [319:0] INITVAL_2C = 0;
  parameter [319:0] INITVAL_2D = 0;
  parameter [319:0] INITVAL_2E = 0;
  parameter [319:0] INITVAL_2F = 0;
  parameter [319:0] INITVAL_30 = 0;
  parameter [319:0] INITVAL_31 = 0;
  parameter [319:0] INITVAL_32 = 0;
  parameter [319:0] INITVAL_33 = 0;
  parameter [319:0] INITVAL_34 = 0;
  parameter [319:0] INITVAL_35 = 0;
  parameter [319:0] INITVAL_36 = 0;
  parameter [319:0] INITVAL_37 = 0;
  parameter [319:0] INITVAL_38 = 0;
  parameter [319:0] INITVAL_39 = 0;
  parameter [319:0] INITVAL_3A = 0;
  parameter [319:0] INITVAL_3B = 0;
  parameter [319:0] INITVAL_3C = 0;
  parameter [319:0] INITVAL_3D = 0;
  parameter [319:0] INITVAL_3E = 0;
  parameter [319:0] INITVAL_3F = 0;
  localparam [20479:0] INIT = {INITVAL_3F, INITVAL_3E, INITVAL_3D, INITVAL_3C, INITVAL_3B, INITVAL_3A, INITVAL_39,
    INITVAL_38, INITVAL_37, INITVAL_36, INITVAL_35, INITVAL_34, INITVAL_33, INITVAL_32, INITVAL_31, INITVAL_30,
    INITVAL_2F, INITVAL_2E, INITVAL_2D, INITVAL_2C, INITVAL_2B, INITVAL_2A, INITVAL_29, INITVAL_28, INITVAL_27,
    INITVAL_26, INITVAL_25, INITVAL_24, INITVAL_23, INITVAL_22, INITVAL_21, INITVAL_20, INITVAL_1F, INITVAL_1E,
    INITVAL_1D, INITVAL_1C, INITVAL_1B, INITVAL_1A, INITVAL_19, INITVAL_18, INITVAL_17, INITVAL_16, INITVAL_15,
    INITVAL_14, INITVAL_13, INITVAL_12, INITVAL_11, INITVAL_10, INITVAL_0F, INITVAL_0E, INITVAL_0D, INITVAL_0C,
    INITVAL_0B, INITVAL_0A, INITVAL_09, INITVAL_08, INITVAL_07, INITVAL_06, INITVAL_05, INITVAL_04, INITVAL_03,
    INITVAL_02, INITVAL_01, INITVAL_00};
  reg [17:0] memory [0:1023];
  integer word;
  initial for (word = 0; word < 1024; word = word + 1) memory[word] = INIT[word * 20 +: 18];
  wire [13:0] ada = {ADA13, ADA12, ADA11, ADA10, ADA9, ADA8, ADA7, ADA6, ADA5, ADA4, ADA3, ADA2, ADA1, ADA0};
  wire [17:0] dia = {DIA17, DIA16, DIA15, DIA14, DIA13, DIA12, DIA11, DIA10, DIA9, DIA8, DIA7, DIA6, DIA5, DIA4,
    DIA3, DIA2, DIA1, DIA0};
  wire [13:0] adb = {ADB13, ADB12, ADB11, ADB10, ADB9, ADB8, ADB7, ADB6, ADB5, ADB4, ADB3, ADB2, ADB1, ADB0};
  wire [17:0] dib = {DIB17, DIB16, DIB15, DIB14, DIB13, DIB12, DIB11, DIB10, DIB9, DIB8, DIB7, DIB6, DIB5, DIB4,
    DIB3, DIB2, DIB1, DIB0};

  // Where a number of `width` bits lies in its word of 18, and which bits it has.
  function [4:0] place(input [13:0] address, input integer width);
    case (width)
      9: place = address[3] ? 9 : 0;
      4: place = (address[3] ? 9 : 0) + (address[2] ? 4 : 0);
      2: place = (address[3] ? 9 : 0) + (address[2] ? 4 : 0) + (address[1] ? 2 : 0);
      1: place = (address[3] ? 9 : 0) + (address[2] ? 4 : 0) + (address[1] ? 2 : 0) + (address[0] ? 1 : 0);
      default: place = 0;
    endcase
  endfunction

  function [17:0] mask(input integer width);
    mask = width >= 18 ? 18'h3ffff : (18'd1 << width) - 18'd1;
  endfunction

  // Bits of the 18 that a write of A changes; a word of 36 bits is two, the lower one first.
  wire wide = DATA_WIDTH_A == 36;
  wire [17:0] bytes_low = {{9{ada[1]}}, {9{ada[0]}}};
  wire [17:0] bytes_high = {{9{ada[3]}}, {9{ada[2]}}};
  wire [17:0] changed = DATA_WIDTH_A >= 18 ? bytes_low : mask(DATA_WIDTH_A) << place(ada, DATA_WIDTH_A);
  wire [17:0] changing = DATA_WIDTH_A >= 18 ? dia : (dia & mask(DATA_WIDTH_A)) << place(ada, DATA_WIDTH_A);
  wire write = CEA & WEA;
  wire [9:0] low = wide ? {ada[13:5], 1'b0} : ada[13:4];
  wire [9:0] high = {ada[13:5], 1'b1};
  always @(posedge CLKA) begin
    if (write) memory[low] <= (memory[low] & ~changed) | (changing & changed);
    if (write && wide) memory[high] <= (memory[high] & ~bytes_high) | (dib & bytes_high);
  end

  // Reads, inverted where the word is being written.
  wire [9:0] low_b = DATA_WIDTH_B == 36 ? {adb[13:5], 1'b0} : adb[13:4];
  wire [9:0] high_b = {adb[13:5], 1'b1};
  wire [17:0] read_low = memory[low_b] ^ {18{write && (low_b == low || (wide && low_b == high))}};
  wire [17:0] read_high = memory[high_b] ^ {18{write && (high_b == low || (wide && high_b == high))}};
  reg [17:0] qa = 0, qb = 0, qb_high = 0, qa_later = 0, qb_later = 0, qb_high_later = 0;
  always @(posedge CLKA) begin
    if (CEA && !WEA) qa <= memory[ada[13:4]] >> place(ada, DATA_WIDTH_A);
    if (OCEA) qa_later <= qa;
  end
  always @(posedge CLKB) begin
    if (CEB) qb <= read_low >> place(adb, DATA_WIDTH_B);
    if (CEB) qb_high <= read_high;
    if (OCEB) qb_later <= qb;
    if (OCEB) qb_high_later <= qb_high;
  end
  wire [17:0] first = REGMODE_B == "OUTREG" ? qb_later : qb;
  wire [17:0] second = REGMODE_B == "OUTREG" ? qb_high_later : qb_high;
  wire [17:0] left = REGMODE_A == "OUTREG" ? qa_later : qa;
  assign {DOA17, DOA16, DOA15, DOA14, DOA13, DOA12, DOA11, DOA10, DOA9, DOA8, DOA7, DOA6, DOA5, DOA4, DOA3, DOA2,
    DOA1, DOA0} = DATA_WIDTH_B == 36 ? first : left;
  assign {DOB17, DOB16, DOB15, DOB14, DOB13, DOB12, DOB11, DOB10, DOB9, DOB8, DOB7, DOB6, DOB5, DOB4, DOB3, DOB2,
    DOB1, DOB0} = DATA_WIDTH_B == 36 ? second : first;
endmodule
