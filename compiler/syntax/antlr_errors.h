// How parsing goes on after a mistake, and what is said about it. Private to compiler/syntax.
#pragma once

#include <antlr4-runtime.h>

#include <exception>
#include <memory>
#include <string>
#include <vector>

#include "compiler/diag/diagnostic.h"
#include "compiler/source/source_map.h"

namespace ckmap {

// Gives up at the first mistake by throwing antlr4::ParseCancellationException: for the fast attempt.
class GiveUpStrategy final : public antlr4::ANTLRErrorStrategy {
 public:
  void reset(antlr4::Parser*) override {}
  antlr4::Token* recoverInline(antlr4::Parser*) override;
  void recover(antlr4::Parser*, std::exception_ptr) override;
  void sync(antlr4::Parser*) override {}
  bool inErrorRecoveryMode(antlr4::Parser*) override { return false; }
  void reportMatch(antlr4::Parser*) override {}
  void reportError(antlr4::Parser*, const antlr4::RecognitionException&) override {}
};

// One mistake, one diagnostic: the statement (or the line of a `rename` or `target` block) that holds the
// mistake is skipped to its `;` or closing brace, and reading goes on behind it. A `;` alone that
// is missing at the end of a line is put there.
class ReportingStrategy final : public antlr4::ANTLRErrorStrategy {
 public:
  // `bad_tokens`: sorted indices of tokens that have been reported already; statements that hold
  // one are skipped in silence.
  ReportingStrategy(const SourceFile& file, FileId id, std::vector<size_t> bad_tokens, DiagnosticSink& sink)
      : file_(file), id_(id), bad_tokens_(std::move(bad_tokens)), sink_(sink) {}

  void reset(antlr4::Parser*) override { recovering_ = false; }
  antlr4::Token* recoverInline(antlr4::Parser* parser) override;
  void recover(antlr4::Parser* parser, std::exception_ptr error) override;
  void sync(antlr4::Parser* parser) override;
  bool inErrorRecoveryMode(antlr4::Parser*) override { return recovering_; }
  void reportMatch(antlr4::Parser*) override { recovering_ = false; }
  void reportError(antlr4::Parser* parser, const antlr4::RecognitionException& error) override;

 private:
  // What a message is made from.
  struct Mistake {
    antlr4::Parser* parser;
    antlr4::Token* found;
    antlr4::Token* previous;  // null at the start
    antlr4::misc::IntervalSet expected;
    bool first_on_line = false;
    bool Expects(size_t type) const { return expected.contains(type); }
  };
  Mistake Describe(antlr4::Parser* parser, antlr4::Token* found, antlr4::misc::IntervalSet expected) const;

  void Report(const Mistake& mistake);
  bool ReportUnclosed(const Mistake& mistake);
  bool ReportMissingSemicolon(const Mistake& mistake);
  bool ReportUnquotedName(const Mistake& mistake);
  bool ReportKeyword(const Mistake& mistake);
  bool ReportSlip(const Mistake& mistake);
  void ReportExpected(const Mistake& mistake);

  void SkipStatement(antlr4::Parser* parser, size_t start);
  bool AlreadyReported(antlr4::Parser* parser, const antlr4::Token* found) const;
  antlr4::Token* LastOpen(const Mistake& mistake, bool braces_only) const;
  Span At(const antlr4::Token* token) const;
  Span After(const antlr4::Token* token) const;
  std::string Text(const antlr4::Token* token) const;

  const SourceFile& file_;
  FileId id_;
  std::vector<size_t> bad_tokens_;
  DiagnosticSink& sink_;
  std::vector<std::unique_ptr<antlr4::Token>> made_up_;
  bool recovering_ = false;
  bool stay_ = false;       // the next statement starts right here
  bool skip_line_ = false;  // … or on the next line
};

// Bytes of a token; empty at the end of the file.
Span TokenSpan(const antlr4::Token* token, FileId file, const SourceFile& source);

}  // namespace ckmap
