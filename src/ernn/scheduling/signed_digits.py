"""Constants as few shifts and adds: what a product with a fixed number costs in hardware."""


def signed_digits(constant: int) -> tuple[tuple[int, int], ...]:
    """Canonical signed digits of a non-negative constant, (sign, power) each: the fewest that are
    not zero.
    """
    digits, power = [], 0
    while constant:
        if constant & 1:
            digit = 2 - (constant & 3)
            digits.append((digit, power))
            constant -= digit
        constant >>= 1
        power += 1
    return tuple(digits)
