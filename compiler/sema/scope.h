// Names of values: the params and lets of every file, and what a rule adds to them.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "compiler/diag/diagnostic.h"
#include "compiler/program/loader.h"
#include "compiler/sema/rule_set.h"
#include "compiler/sema/shapes/polynomial.h"

namespace ckmap {

// The variables of all files of a program.
class VariableTable {
 public:
  struct Entry {
    TypedVariable variable;
    const ast::Expr* expr = nullptr;  // null: none
    size_t expr_unit = 0;             // the file whose names `expr` uses
    bool used = false;
    // Of a let or a fixed param, once it was typed: its value and its size as a polynomial. Kept here, so
    // that a chain of lets is followed once, and never by recursion.
    std::optional<Constant> constant;
    std::optional<Polynomial> size;
  };

  VariableTable(const Program& program, DiagnosticSink& sink);

  // `name` as written in a file: its own, or `scope.name` of a file that it uses. Marks it used.
  Entry* Find(size_t unit, std::string_view name);
  Entry* Lookup(size_t unit, std::string_view name);    // does not mark it
  std::vector<std::string> NamesIn(size_t unit) const;  // for "did you mean"

  std::vector<Entry>& entries() { return entries_; }
  const std::vector<Entry>& entries() const { return entries_; }
  const Entry* FindQualified(std::string_view qualified) const;

  // `use … with prefix`: what stands in front of the source's names in a file, as a block around all of it; nullptr:
  // nothing.
  const ast::Within* PrefixOf(size_t unit) const { return prefixes_[unit].get(); }

 private:
  void Declare(size_t unit, const ast::Statement& statement, DiagnosticSink& sink);
  void ApplyUse(size_t unit, const UseEdge& edge, DiagnosticSink& sink);
  void Put(Entry entry, DiagnosticSink& sink);
  void FindPrefixes(DiagnosticSink& sink);

  const Program& program_;
  std::vector<Entry> entries_;
  std::map<std::string, size_t, std::less<>> by_name_;        // qualified name
  std::map<size_t, const UseEdge*> first_use_;                // of each used file
  std::vector<std::shared_ptr<const ast::Within>> prefixes_;  // of each file
};

// What the patterns and shapes of one rule bind.
struct RuleScope {
  struct Bound {
    TypedCapture capture;
    Span span;
    bool on_source = false;  // bound by a capture of the source side
    bool in_range = false;   // has a `where`
    bool used = false;
  };
  std::map<std::string, Bound, std::less<>> captures;
  std::vector<std::string> order;  // of captures, as they were bound
  std::set<std::string, std::less<>> dims;
  bool in_layer = false;
  bool in_shape = false;  // while a size in brackets is typed

  Bound* Find(std::string_view name) {
    const auto found = captures.find(name);
    return found == captures.end() ? nullptr : &found->second;
  }
};

}  // namespace ckmap
