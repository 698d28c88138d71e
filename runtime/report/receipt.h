// What a receipt, or the report of a run, says of an output. It is read as what anybody may have written: nothing signs
// it.
#pragma once

#include <map>
#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.h"
#include "runtime/bind/issue.h"
#include "runtime/tensor/shape.h"

namespace ckmap {

struct ReceiptTensor {
  std::string name, dtype;
  Shape shape;
  std::string rule;                       // "torch2ms.ckmap:12", "same name"
  std::vector<std::string> sources, ops;  // names of source tensors; "permute(1, 0)"
  std::string cast_to;                    // the last dtype that elements were converted to; empty: they were not
  bool computed = false;                  // only in reports
  std::string sha256;                     // hex; empty: it has no digest

  // It is said to be one source tensor as it is.
  bool copied() const { return ops.empty() && cast_to.empty() && !computed && sources.size() == 1; }
};

struct Receipt {
  std::string plan_digest, migration;
  std::vector<std::pair<std::string, std::string>> packs;  // name, version
  std::map<std::string, std::string> params, ranks;
  std::string root;                    // the dict of a torch file that the tensors lie in
  std::vector<ReceiptTensor> tensors;  // each name once
  bool has_digests = false;            // then every tensor has one
  // What became of other tensors: "dropped", "initialized" and "kept" → name → rule. Only reports have them.
  std::map<std::string, std::map<std::string, std::string>> lists;
  // The keys of what else it says, sorted: "bytes_read", "targets[].device". They are compared with nothing.
  std::vector<std::string> others;
};

// Errors (kMalformed): no receipt; a key twice; a tensor twice; digests for some tensors only, or none that is a
// SHA-256.
Result<Receipt> ParseReceipt(const std::string& json);

// What `carried` says otherwise than `recomputed`, each as an issue (CK1601). Digests and `others` are not compared;
// lists are if `carried` has them.
std::vector<Issue> CompareReceipts(const Receipt& carried, const Receipt& recomputed);

// "resnet 1.2.0, std 1.0.0", as the metadata of a file lists them.
std::string PacksText(const Receipt& receipt);

Issue ReceiptIssue(std::string tensor, std::string message);

}  // namespace ckmap
