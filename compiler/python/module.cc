// The extension module ckmap._compiler: <ckmap/compiler.h> for Python. It gives plans as bytes, which ckmap._runtime
// parses.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <ckmap/compiler.h>

#include "runtime/python/conversions.h"

namespace nb = nanobind;
using namespace nb::literals;

namespace {

using namespace ckmap_python;

AnyTuple Finish(ckmap::v1::Result<ckmap::v1::Plan> plan, const std::vector<ckmap::v1::Issue>& warnings) {
  const std::string bytes = Take(std::move(plan), true).Serialize();
  return nb::make_tuple(nb::bytes(bytes.data(), bytes.size()), IssueList(warnings));
}

ckmap::v1::CompileOptions Options(const std::vector<std::string>& packs,
                                  const std::map<std::string, std::string>& params, bool reverse,
                                  std::vector<ckmap::v1::Issue>& warnings) {
  ckmap::v1::CompileOptions options;
  for (const std::string& folder : packs) options.packs.emplace_back(folder);
  options.params = params;
  options.reverse = reverse;
  options.warnings = &warnings;
  return options;
}

ckmap::v1::SuggestOptions Options(const std::string& source_name, const std::string& target_name,
                                  const std::vector<std::string>& packs, bool try_packs,
                                  const std::map<std::string, std::string>& params, const std::string& config) {
  ckmap::v1::SuggestOptions options;
  for (const std::string& folder : packs) options.packs.emplace_back(folder);
  options.source_name = source_name;
  options.target_name = target_name;
  options.try_packs = try_packs;
  options.params = params;
  options.config = config;
  return options;
}

AnyTuple Finish(ckmap::v1::Result<ckmap::v1::Draft> result) {
  const ckmap::v1::Draft draft = Take(std::move(result));
  return nb::make_tuple(draft.text, draft.certain, draft.open, draft.decisions);
}

}  // namespace

NB_MODULE(_compiler, m) {
  m.def(
      "compile",
      [](const std::string& path, const std::vector<std::string>& packs,
         const std::map<std::string, std::string>& params, bool reverse) {
        std::vector<ckmap::v1::Issue> warnings;
        return Finish(ckmap::v1::Compile(path, Options(packs, params, reverse, warnings)), warnings);
      },
      "path"_a, "packs"_a, "params"_a, "reverse"_a);
  m.def(
      "compile_text",
      [](const std::string& text, const std::string& name, const std::vector<std::string>& packs,
         const std::map<std::string, std::string>& params, bool reverse) {
        std::vector<ckmap::v1::Issue> warnings;
        return Finish(ckmap::v1::CompileText(text, name, Options(packs, params, reverse, warnings)), warnings);
      },
      "text"_a, "name"_a, "packs"_a, "params"_a, "reverse"_a);
  m.def(
      "suggest",
      [](const TensorRows& source, const std::string& source_framework, const TensorRows& target,
         const std::string& target_framework, const std::string& source_name, const std::string& target_name,
         const std::vector<std::string>& packs, bool try_packs, const std::map<std::string, std::string>& params,
         const std::string& config) {
        const auto from = MakeManifest(source, source_framework), to = MakeManifest(target, target_framework);
        const auto options = Options(source_name, target_name, packs, try_packs, params, config);
        return Finish([&] {
          const nb::gil_scoped_release released;
          return ckmap::v1::Suggest(from, to, options);
        }());
      },
      "source"_a, "source_framework"_a, "target"_a, "target_framework"_a, "source_name"_a, "target_name"_a, "packs"_a,
      "try_packs"_a, "params"_a, "config"_a);
  // By the elements of two checkpoints too, which are handles of ckmap._runtime: both modules are built together, and
  // nanobind shares the types of its modules. They are `object` here because stubs are made without that module.
  m.def(
      "suggest_by_values",
      [](nb::object source, nb::object target, const std::string& source_name, const std::string& target_name,
         const std::vector<std::string>& packs, bool try_packs, const std::map<std::string, std::string>& params,
         const std::string& config) {
        const auto options = Options(source_name, target_name, packs, try_packs, params, config);
        const auto from = nb::cast<ckmap::v1::Checkpoint>(source), to = nb::cast<ckmap::v1::Checkpoint>(target);
        return Finish([&] {
          const nb::gil_scoped_release released;
          return ckmap::v1::Suggest(from, to, options);
        }());
      },
      "source"_a, "target"_a, "source_name"_a, "target_name"_a, "packs"_a, "try_packs"_a, "params"_a, "config"_a);
}
