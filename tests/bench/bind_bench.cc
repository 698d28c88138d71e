// Binding at scale: `bind_bench RULES TENSORS` makes a plan of RULES rules and two manifests of TENSORS
// tensors, binds, and prints the seconds. Run it with 1x and 10x to see that it grows linearly.
#include <sys/resource.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

#include "plan.pb.h"
#include "runtime/bind/bind.h"

namespace ckmap {
namespace {

void AddLiteral(plan::Pattern* pattern, const std::string& text) {
  pattern->add_parts()->set_literal(text);
  pattern->set_text(pattern->text() + text);
}

Result<Plan> MakePlan(int rules) {
  plan::Plan proto;
  proto.set_format(kPlanFormat);
  proto.set_edition(1);
  auto* file = proto.add_files();
  file->set_name("bench.ckmap");
  file->set_sha256(std::string(64, '0'));
  for (int r = 0; r < rules; ++r) {
    auto* rule = proto.add_rules();
    rule->mutable_loc()->set_line(static_cast<uint32_t>(r + 1));
    rule->set_text(fmt::format("kind{} rule", r));
    auto* source = rule->mutable_source()->add_terms()->mutable_pattern();
    AddLiteral(source, "model.layers.");
    auto* capture = source->add_parts()->mutable_capture();
    capture->set_name("n");
    capture->set_kind(plan::Capture::INT);
    AddLiteral(source, fmt::format(".block.kind{}.weight", r));
    auto* target = rule->mutable_target()->add_terms()->mutable_pattern();
    AddLiteral(target, "net.blocks.");
    target->add_parts()->set_reference("n");
    AddLiteral(target, fmt::format(".part{}.w", r));
  }
  return ParsePlan(SerializePlan(proto));
}

Manifest MakeManifest(int rules, int tensors, const char* format) {
  Manifest manifest;
  for (int i = 0; i < tensors; ++i) {
    TensorInfo info;
    info.name = fmt::format(fmt::runtime(format), i / rules, i % rules);
    info.dtype = DType::kF32;
    info.shape = {8, 8};
    manifest.Add(std::move(info));
  }
  return manifest;
}

int Main(int rules, int tensors) {
  const auto plan = MakePlan(rules);
  if (!plan) {
    std::fprintf(stderr, "%s\n", plan.error().message().c_str());
    return 1;
  }
  Manifest source = MakeManifest(rules, tensors, "model.layers.{}.block.kind{}.weight");
  Manifest target = MakeManifest(rules, tensors, "net.blocks.{}.part{}.w");
  const auto begin = std::chrono::steady_clock::now();
  const auto bound = Bind(*plan, std::move(source), std::move(target), {});
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count();
  if (!bound || !bound->plan) {
    std::fprintf(stderr, "%s\n", bound ? bound->issues.front().message.c_str() : bound.error().message().c_str());
    return 1;
  }
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  std::printf("%d rules, %d tensors: bound in %.3f s, peak memory %ld MiB\n", rules, tensors, seconds,
              usage.ru_maxrss / 1024);
  return 0;
}

}  // namespace
}  // namespace ckmap

int main(int argc, char** argv) {
  return ckmap::Main(argc > 1 ? std::atoi(argv[1]) : 1000, argc > 2 ? std::atoi(argv[2]) : 100000);
}
