// The extension module ckmap._compiler: <ckmap/compiler.h> for Python. It gives plans as bytes, which ckmap._runtime
// parses, so that
// `import ckmap` loads no parser.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <ckmap/compiler.h>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

// What stubs say of values that have no class of their own.
using AnyTuple = nb::typed<nb::tuple, nb::any, nb::ellipsis>;

nb::list IssueList(const std::vector<ckmap::v1::Issue>& issues) {
  nb::list list;
  const nb::object make = nb::module_::import_("ckmap._errors").attr("Issue");
  for (const ckmap::v1::Issue& issue : issues) {
    const char* severity = issue.severity == ckmap::v1::Severity::kError     ? "error"
                           : issue.severity == ckmap::v1::Severity::kWarning ? "warning"
                                                                             : "note";
    list.append(make(issue.code, severity, issue.tensor, issue.message, issue.notes, issue.help, issue.file, issue.line,
                     issue.column));
  }
  return list;
}

[[noreturn]] void Raise(const ckmap::v1::Error& error, bool compiling) {
  const nb::object exception =
      nb::module_::import_("ckmap._errors")
          .attr("make")(static_cast<int>(error.code()), error.message(), IssueList(error.issues()), compiling);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw nb::python_error();
}

AnyTuple Finish(ckmap::v1::Result<ckmap::v1::Plan> plan, const std::vector<ckmap::v1::Issue>& warnings) {
  if (!plan) Raise(plan.error(), true);
  const std::string bytes = plan->Serialize();
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

// (name, dtype, shape, optional, tied_to) of each tensor: the handles of ckmap._runtime belong to that module.
using Tuples = std::vector<std::tuple<std::string, std::string, std::vector<int64_t>, bool, std::string>>;

ckmap::v1::Manifest MakeManifest(const Tuples& tensors, const std::string& framework) {
  std::vector<ckmap::v1::TensorInfo> infos;
  for (const auto& [name, dtype, shape, optional, tied_to] : tensors) {
    const auto type = ckmap::v1::ParseDType(dtype);
    if (!type) Raise({ckmap::v1::ErrorCode::kUsage, "there is no dtype `" + dtype + "`"}, false);
    infos.push_back({.name = name, .dtype = *type, .shape = shape, .optional = optional, .tied_to = tied_to});
  }
  auto manifest = ckmap::v1::Manifest::Of(std::move(infos), framework);
  if (!manifest) Raise(manifest.error(), false);
  return *std::move(manifest);
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

AnyTuple Finish(const ckmap::v1::Result<ckmap::v1::Draft>& draft) {
  if (!draft) Raise(draft.error(), false);
  return nb::make_tuple(draft->text, draft->certain, draft->open, draft->decisions);
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
      [](const Tuples& source, const std::string& source_framework, const Tuples& target,
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
