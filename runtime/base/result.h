// Result<T>: a value, or an Error that a person can act on. For files, formats and the
// environment; mistakes of a rule author are Diagnostics and our own bugs are CKMAP_CHECK.
//
//   Result<int> Parse(std::string_view text);
//   CKMAP_ASSIGN_OR_RETURN(const int n, Parse(text));           // returns the Error outward
//   return Error(ErrorCode::kMalformed, "header is cut short").Context(path);
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <variant>

#include "runtime/base/check.h"

namespace ckmap {

// The values are the exit codes of both programs and must never change.
enum class ErrorCode : int {
  kMismatch = 1,   // the rules or the target do not fit
  kUsage = 2,      // the command line, or an argument of the API
  kMalformed = 3,  // a file that is broken, hostile, or of a kind that is refused
  kIo = 4,         // the operating system said no
  kLimit = 5,      // a stated limit was reached
};

class [[nodiscard]] Error {
 public:
  Error(ErrorCode code, std::string message) : code_(code), message_(std::move(message)) {}

  ErrorCode code() const { return code_; }
  const std::string& message() const { return message_; }

  // Puts "where: " in front; called on the way outward, so that the file comes first.
  Error Context(std::string_view where) && {
    message_.insert(0, std::string(where) + ": ");
    return std::move(*this);
  }

 private:
  ErrorCode code_;
  std::string message_;
};

template <typename T>
class [[nodiscard]] Result {
 public:
  Result(T value) : state_(std::in_place_index<0>, std::move(value)) {}      // NOLINT: implicit
  Result(Error error) : state_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return state_.index() == 0; }
  explicit operator bool() const { return ok(); }

  T& operator*() & {
    CKMAP_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  const T& operator*() const& {
    CKMAP_CHECK(ok());
    return *std::get_if<0>(&state_);
  }
  T&& operator*() && {
    CKMAP_CHECK(ok());
    return std::move(*std::get_if<0>(&state_));
  }
  T* operator->() { return &**this; }
  const T* operator->() const { return &**this; }

  const Error& error() const& {
    CKMAP_CHECK(!ok());
    return *std::get_if<1>(&state_);
  }
  Error&& error() && {
    CKMAP_CHECK(!ok());
    return std::move(*std::get_if<1>(&state_));
  }

 private:
  std::variant<T, Error> state_;
};

template <>
class [[nodiscard]] Result<void> {
 public:
  Result() = default;
  Result(Error error) : error_(std::in_place_index<1>, std::move(error)) {}  // NOLINT: implicit

  bool ok() const { return error_.index() == 0; }
  explicit operator bool() const { return ok(); }
  const Error& error() const& {
    CKMAP_CHECK(!ok());
    return *std::get_if<1>(&error_);
  }
  Error&& error() && {
    CKMAP_CHECK(!ok());
    return std::move(*std::get_if<1>(&error_));
  }

 private:
  std::variant<std::monostate, Error> error_;
};

}  // namespace ckmap

#define CKMAP_CONCAT_INNER(a, b) a##b
#define CKMAP_CONCAT(a, b) CKMAP_CONCAT_INNER(a, b)
#define CKMAP_RETURN_IF_ERROR(expr)                             \
  do {                                                          \
    if (auto ckmap_status = (expr); !ckmap_status) [[unlikely]] \
      return std::move(ckmap_status).error();                   \
  } while (false)
#define CKMAP_ASSIGN_OR_RETURN(lhs, expr) CKMAP_ASSIGN_OR_RETURN_INNER(CKMAP_CONCAT(ckmap_result_, __LINE__), lhs, expr)
#define CKMAP_ASSIGN_OR_RETURN_INNER(tmp, lhs, expr) \
  auto tmp = (expr);                                 \
  if (!tmp) [[unlikely]]                             \
    return std::move(tmp).error();                   \
  lhs = *std::move(tmp)
