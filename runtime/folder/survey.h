// A model's folder as model hubs have it: weights, config.json, a tokenizer, a chat template, licences, and whatever
// else somebody put there. Only names and kinds of files are looked at here.
#pragma once

#include <string>
#include <utility>
#include <vector>

#include "runtime/base/result.h"

namespace ckmap {

struct ModelFolder {
  std::string path;
  std::string weights;               // the file to open: a checkpoint, or the index of its shards
  std::string stem;                  // of its name: "model", "pytorch_model", "diffusion_pytorch_model"
  std::string config;                // the path of config.json; empty: there is none
  std::vector<std::string> carried;  // names of the files that go along as they are
  // Names of all else, each with the reason why it stays behind.
  std::vector<std::pair<std::string, std::string>> left_behind;
};

// Nothing is followed out of the folder: a link counts as its file if that lies in the folder too, or among the blobs of
// a hub's cache ("snapshots/REVISION" beside "blobs"). `with_code`: carry Python files, too.
// kMalformed if what must be read is not a regular file; kUsage if there are no weights, or several that nothing ranks.
Result<ModelFolder> SurveyFolder(const std::string& path, bool with_code);

}  // namespace ckmap
