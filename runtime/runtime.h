// The runtime library: reads checkpoints, binds a compiled plan to them, converts. It needs neither the
// compiler nor the rules, only the plan that `ckmapc` made of them.
//
//   // What is in a file, whatever its format.
//   CKMAP_ASSIGN_OR_RETURN(auto source, ckmap::OpenCheckpoint("resnet50.pth"));
//   for (const ckmap::TensorInfo& tensor : source->manifest().tensors()) { … }
//
//   // A plan, and the network that it is to fill: names, dtypes and shapes.
//   CKMAP_ASSIGN_OR_RETURN(ckmap::Plan plan, ckmap::LoadPlan("torch2ms.ckplan"));
//   CKMAP_ASSIGN_OR_RETURN(ckmap::Manifest target, ckmap::ReadManifest("net.yaml"));
//
//   // Proved to fit, or all that does not. No tensor's bytes have been read so far.
//   CKMAP_ASSIGN_OR_RETURN(ckmap::BindResult bound, ckmap::Bind(plan, source->manifest(), target, {}));
//   if (!bound.plan) { for (const ckmap::Issue& issue : bound.issues) … }
//
//   // Bytes go to temporary files, which Commit gives their names; without it nothing is left behind.
//   std::vector<ckmap::OutputTensor> tensors;
//   for (const auto& tensor : bound.plan->tensors) tensors.push_back({tensor.name, tensor.dtype, tensor.shape});
//   CKMAP_ASSIGN_OR_RETURN(auto writer, ckmap::CreateCheckpoint("out.ckpt", ckmap::OutputFormat::kMindSporeCkpt,
//                                                               std::move(tensors), {}));
//   CKMAP_ASSIGN_OR_RETURN(auto done, ckmap::Execute(*bound.plan, *source, *writer, {}));
//   CKMAP_ASSIGN_OR_RETURN(auto files, writer->Commit());
//
// Errors: every function that can fail gives a Result<T>; its Error has a code (the programs' exit
// codes) and a message that names the file and what to do. What does not fit is no Error but a list of
// Issues. No exception leaves the library.
//
// Threads: an open Checkpoint, a Plan and a BoundPlan are immutable and may be used by many threads.
// Execute uses as many as it is told.
//
// Trust: checkpoints and plans may come from anybody. Sizes and counts are checked before memory is
// taken, a pickle can build tensors and plain values and nothing else, names are data.
#pragma once

#include "runtime/base/result.h"         // Result, Error, ErrorCode
#include "runtime/bind/bind.h"           // Bind, BindOptions, BindResult
#include "runtime/bind/bound_plan.h"     // BoundPlan: what becomes what
#include "runtime/bind/issue.h"          // Issue
#include "runtime/exec/executor.h"       // Execute, EstimateCost, DigestTensor
#include "runtime/formats/checkpoint.h"  // Checkpoint
#include "runtime/formats/open.h"        // OpenCheckpoint, ReadManifest
#include "runtime/formats/create.h"      // CreateCheckpoint
#include "runtime/plan/plan_io.h"        // Plan, LoadPlan, FindPackPlan
#include "runtime/tensor/dtype.h"        // DType
#include "runtime/tensor/manifest.h"     // Manifest, TensorInfo
#include "runtime/tensor/shape.h"        // Shape
