// What both extension modules turn into Python and back: issues, errors, manifests.
#pragma once

#include <nanobind/nanobind.h>
#include <nanobind/stl/string.h>
#include <nanobind/stl/tuple.h>
#include <nanobind/stl/vector.h>

#include <cstdint>
#include <span>
#include <string>
#include <tuple>
#include <utility>
#include <vector>

#include <ckmap/ckmap.h>

namespace ckmap_python {

namespace nb = nanobind;

// What stubs say of values that have no class of their own.
using AnyList = nb::typed<nb::list, nb::any>;
using AnyTuple = nb::typed<nb::tuple, nb::any, nb::ellipsis>;
using AnyDict = nb::typed<nb::dict, nb::str, nb::any>;

// (name, dtype, shape, optional, tied_to) of each tensor.
using TensorRows = std::vector<std::tuple<std::string, std::string, std::vector<int64_t>, bool, std::string>>;

// Objects of ckmap._errors.Issue.
inline AnyList IssueList(std::span<const ckmap::Issue> issues) {
  AnyList list;
  const nb::object make = nb::module_::import_("ckmap._errors").attr("Issue");
  for (const ckmap::Issue& issue : issues) {
    const char* severity = issue.severity == ckmap::Severity::kError     ? "error"
                           : issue.severity == ckmap::Severity::kWarning ? "warning"
                                                                         : "note";
    list.append(make(issue.code, severity, issue.tensor, issue.message, issue.notes, issue.help, issue.file, issue.line,
                     issue.column));
  }
  return list;
}

// The exception of ckmap._errors for an error; `compiling`: a misfit is a mistake in the rules.
inline nb::object MakeException(const ckmap::Error& error, bool compiling = false) {
  return nb::module_::import_("ckmap._errors")
      .attr("make")(static_cast<int>(error.code()), error.message(), IssueList(error.issues()), compiling);
}

[[noreturn]] inline void Raise(const ckmap::Error& error, bool compiling = false) {
  const nb::object exception = MakeException(error, compiling);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw nb::python_error();
}

// The value of a result; an error is raised.
template <typename T>
T Take(ckmap::Result<T> result, bool compiling = false) {
  if (!result) Raise(result.error(), compiling);
  if constexpr (!std::is_void_v<T>) return *std::move(result);
}

inline ckmap::DType ParseDType(const std::string& name) {
  const auto dtype = ckmap::ParseDType(name);
  if (!dtype) Raise({ckmap::ErrorCode::kUsage, "there is no dtype `" + name + "`"});
  return *dtype;
}

inline ckmap::Manifest MakeManifest(const TensorRows& tensors, const std::string& framework) {
  std::vector<ckmap::TensorInfo> infos;
  for (const auto& [name, dtype, shape, optional, tied_to] : tensors) {
    infos.push_back(
        {.name = name, .dtype = ParseDType(dtype), .shape = shape, .optional = optional, .tied_to = tied_to});
  }
  return Take(ckmap::Manifest::Of(std::move(infos), framework));
}

}  // namespace ckmap_python
