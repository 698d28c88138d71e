// The list of run_files.h for a library, whose callers open other files at the same time: it holds what is opened in its
// scopes, and lives as long as what was opened.
#pragma once

namespace ckmap {

class RunList {
 public:
  RunList();
  ~RunList();
  RunList(const RunList&) = delete;
  RunList& operator=(const RunList&) = delete;

  // What this thread opens until the scope ends is entered in the list, and what it checks for changes is the list's.
  // Scopes may be nested: all of their lists count. They end in the reverse order, in the same thread.
  class Scope {
   public:
    explicit Scope(const RunList& list);
    ~Scope();
    Scope(const Scope&) = delete;
    Scope& operator=(const Scope&) = delete;
  };
};

}  // namespace ckmap
