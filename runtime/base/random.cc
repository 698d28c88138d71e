#include "runtime/base/random.h"

#include <cmath>

namespace ckmap {
namespace {

// ln x for 0 < x <= 1, to about one unit in the last place: x = m * 2^e, ln m = 2 atanh((m - 1) /
// (m + 1)).
double NaturalLog(double x) {
  constexpr double kLn2 = 0.693147180559945309417;
  int exponent = 0;
  double mantissa = std::frexp(x, &exponent);  // in [0.5, 1)
  if (mantissa < 0.70710678118654752440) {
    mantissa *= 2;
    --exponent;
  }
  const double t = (mantissa - 1) / (mantissa + 1);  // |t| < 0.172
  const double square = t * t;
  double sum = 0;
  for (int k = 21; k >= 1; k -= 2) sum = sum * square + 1.0 / k;
  return 2 * t * sum + exponent * kLn2;
}

// Bits as a number in (-1, 1), never 0.
double Symmetric(uint32_t high, uint32_t low) {
  const uint64_t bits = (static_cast<uint64_t>(high) << 32 | low) >> 12;
  return (static_cast<double>(bits) + 0.5) * 0x1p-51 - 1;
}

}  // namespace

std::array<uint32_t, 4> Philox(std::array<uint32_t, 4> counter, std::array<uint32_t, 2> key) {
  for (int round = 0; round < 10; ++round) {
    const uint64_t a = uint64_t{0xD2511F53} * counter[0];
    const uint64_t b = uint64_t{0xCD9E8D57} * counter[2];
    counter = {static_cast<uint32_t>(b >> 32) ^ counter[1] ^ key[0], static_cast<uint32_t>(b),
               static_cast<uint32_t>(a >> 32) ^ counter[3] ^ key[1], static_cast<uint32_t>(a)};
    key[0] += 0x9E3779B9;
    key[1] += 0xBB67AE85;
  }
  return counter;
}

RandomStream::RandomStream(uint64_t seed, std::string_view name) {
  uint64_t hash = 0xCBF29CE484222325;
  for (const char c : name) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001B3;
  key_ = seed ^ hash;
}

double RandomStream::Normal(uint64_t index) const {
  const std::array<uint32_t, 2> key = {static_cast<uint32_t>(key_), static_cast<uint32_t>(key_ >> 32)};
  for (uint32_t attempt = 0;; ++attempt) {
    const auto bits = Philox({static_cast<uint32_t>(index), static_cast<uint32_t>(index >> 32), attempt, 0}, key);
    const double x = Symmetric(bits[0], bits[1]), y = Symmetric(bits[2], bits[3]);
    const double square = x * x + y * y;
    if (square < 1) return x * std::sqrt(-2 * NaturalLog(square) / square);
  }
}

}  // namespace ckmap
