// How fast each kernel is beside memcpy, on one core: `test-bin/kernel_bench [--benchmark_filter=…]`. The counter
// `of_memcpy` is the kernel's bytes (read and written) a second over memcpy's in the same run. A kernel far below its
// neighbours has fallen back to scalar code.
#include <benchmark/benchmark.h>

#include <chrono>
#include <cstddef>
#include <cstring>
#include <random>
#include <string>
#include <vector>

#include "runtime/exec/kernels/arithmetic.h"
#include "runtime/exec/kernels/cast.h"
#include "runtime/exec/kernels/strided_copy.h"

namespace ckmap {
namespace {

constexpr int64_t kElements = int64_t{1} << 22;

// Bytes a second that memcpy moves (read and written), measured beside each kernel.
double Memcpy(const std::vector<std::byte>& src, std::vector<std::byte>& dst) {
  const auto begin = std::chrono::steady_clock::now();
  const size_t bytes = std::min(src.size(), dst.size());
  std::memcpy(dst.data(), src.data(), bytes);
  benchmark::ClobberMemory();
  return 2 * static_cast<double>(bytes) /
         std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
}

template <typename Body>
void Run(benchmark::State& state, size_t from, size_t to, int64_t elements, const Body& body) {
  std::vector<std::byte> src(static_cast<size_t>(elements) * from);
  std::vector<std::byte> dst(static_cast<size_t>(elements) * to);
  std::vector<std::byte> other(src.size());
  body(src.data(), dst.data());
  double kernel = 0;
  double copied = 0;
  for (auto _ : state) {
    const auto begin = std::chrono::steady_clock::now();
    body(src.data(), dst.data());
    benchmark::ClobberMemory();
    kernel += std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
    state.PauseTiming();
    copied += Memcpy(src, other);
    state.ResumeTiming();
  }
  const auto runs = static_cast<double>(state.iterations());
  const double speed = runs * static_cast<double>(src.size() + dst.size()) / kernel;
  state.counters["GB/s"] = speed / 1e9;
  state.counters["of_memcpy"] = speed / (copied / runs);
}

void AddCast(DType from, DType to) {
  benchmark::RegisterBenchmark(
      (std::string("cast/") + std::string(DTypeName(from)) + "/" + std::string(DTypeName(to))).c_str(),
      [=](benchmark::State& state) {
        const auto in = static_cast<size_t>(DTypeSize(from));
        Run(state, in, static_cast<size_t>(DTypeSize(to)), kElements, [&](std::byte* src, std::byte* dst) {
          static thread_local const std::byte* filled = nullptr;
          if (filled != src) {  // numbers that every dtype holds, most of them rounded
            std::mt19937 random(1);
            std::vector<double> values(4096);
            for (double& value : values) value = std::uniform_real_distribution<double>(0.25, 100)(random);
            std::vector<std::byte> block(values.size() * in);
            CastCounts counts;
            if (from == DType::kF64)
              std::memcpy(block.data(), values.data(), block.size());
            else
              CastElements({DType::kF64, from, Overflow::kSaturate}, reinterpret_cast<const std::byte*>(values.data()),
                           block.data(), values.size(), counts);
            for (size_t i = 0; i < static_cast<size_t>(kElements) * in; i += block.size())
              std::memcpy(src + i, block.data(), block.size());
            filled = src;
          }
          CastCounts counts;
          CastElements({from, to, Overflow::kSaturate}, src, dst, static_cast<size_t>(kElements), counts);
        });
      });
}

void AddCopy(const std::string& name, std::vector<CopyAxis> axes, int64_t element) {
  int64_t elements = 1;
  for (const CopyAxis& axis : axes) elements *= axis.size;
  benchmark::RegisterBenchmark(("copy/" + name).c_str(), [=](benchmark::State& state) {
    const auto size = static_cast<size_t>(element);
    Run(state, size, size, elements, [&](std::byte* src, std::byte* dst) { StridedCopy(src, dst, axes, element); });
  });
}

// [rows, columns] to [columns, rows].
void AddTranspose(const std::string& name, int64_t rows, int64_t columns, int64_t element) {
  AddCopy(name, {{columns, element, rows * element}, {rows, columns * element, element}}, element);
}

}  // namespace
}  // namespace ckmap

int main(int argc, char** argv) {
  using ckmap::DType;
  constexpr DType kFloats[] = {DType::kF64,    DType::kF32,    DType::kF16, DType::kBF16,
                               DType::kF8E4M3, DType::kF8E5M2, DType::kI8,  DType::kU8};
  for (const DType from : kFloats) {
    for (const DType to : kFloats) {
      if (from != to) ckmap::AddCast(from, to);
    }
  }
  for (const int64_t element : {1, 2, 4, 8}) {
    const std::string bits = std::to_string(8 * element);
    ckmap::AddTranspose("2d_2048x2048_" + bits, 2048, 2048, element);
    ckmap::AddTranspose("2d_2000x2064_" + bits, 2000, 2064, element);
    ckmap::AddTranspose("2d_1999x2049_" + bits, 1999, 2049, element);
    // [O, I, 3, 3] to [3, 3, I, O]
    ckmap::AddCopy(
        "oihw_hwio_" + bits,
        {{9, element, 512 * 512 * element}, {512, 9 * element, 512 * element}, {512, 512 * 9 * element, element}},
        element);
    // [heads, 2, d, D] to [heads, d, 2, D]: rows of a rope permutation
    ckmap::AddCopy("rope_" + bits,
                   {{32, 128 * 2048 * element, 128 * 2048 * element},
                    {64, 2048 * element, 2 * 2048 * element},
                    {2, 64 * 2048 * element, 2048 * element},
                    {2048, element, element}},
                   element);
    // two [n, d] into [n, 2, d] columns: interleaved single elements
    ckmap::AddCopy("interleave_" + bits, {{1 << 21, element, 2 * element}, {2, (1 << 21) * element, element}}, element);
  }
  benchmark::Initialize(&argc, argv);
  benchmark::RunSpecifiedBenchmarks();
}
