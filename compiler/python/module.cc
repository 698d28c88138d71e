// The extension module ckmap._compiler: <ckmap/compiler.h> for Python. It gives plans as bytes, which ckmap._runtime
// parses, so that
// `import ckmap` loads no parser.
#include <nanobind/nanobind.h>
#include <nanobind/stl/map.h>
#include <nanobind/stl/pair.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/vector.h>

#include <ckmap/compiler.h>

namespace nb = nanobind;
using namespace nb::literals;

namespace {

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

nb::tuple Finish(ckmap::v1::Result<ckmap::v1::Plan> plan, const std::vector<ckmap::v1::Issue>& warnings) {
  if (!plan) {
    const ckmap::v1::Error& error = plan.error();
    const nb::object exception =
        nb::module_::import_("ckmap._errors")
            .attr("make")(static_cast<int>(error.code()), error.message(), IssueList(error.issues()), true);
    PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
    throw nb::python_error();
  }
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
}
