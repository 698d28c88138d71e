// The inside of quotes: texts with escapes, and name patterns with their holes. The grammar's tokens
// are whole literals; this reads what is in them, with exact spans.
//
//   pattern  := (text | `{{` | `}}` | `*` | `**` | hole)*
//   hole     := `{` NAME `}`                      capture, or a use of one
//             | `{` NAME `:int` `...`? `}`        digits; `...` gathers all values into a list
//             | `{` NAME `:path` `}`              one segment or more
//             | `{` NAME `:` A `|` B … `}`        one of these
//             | `{` NAME `:/` REGEX `/}`          ends at the first `/` without a backslash
//             | `{` A `,` B … `}`                 alternatives: a list of names; one may be empty
//             | `{` EXPR `}`                      integers, names, + - * / // %, parentheses
//   escapes  := `\"` | `\\`, outside of regular expressions
#pragma once

#include <string>

#include "compiler/diag/diagnostic.h"
#include "compiler/source/source_map.h"
#include "compiler/syntax/ast.h"

namespace ckmap {

// `span` is a quoted text of the file, with its quotes. Mistakes are reported once and make the
// pattern `invalid`; with a null sink they only do the latter.
ast::Pattern ParseQuotedPattern(const SourceFile& file, Span span, DiagnosticSink* sink);

// `span` is a `/^…$/` of the file, with its slashes.
ast::Pattern ParseRegexPattern(const SourceFile& file, Span span, DiagnosticSink& sink);

// A bare word, or a dotted name.
ast::Pattern BarePattern(const SourceFile& file, Span span);

// The text between the quotes of `span`, escapes resolved. A null sink: unknown escapes stay as
// they are.
std::string ParseText(const SourceFile& file, Span span, DiagnosticSink* sink);

}  // namespace ckmap
