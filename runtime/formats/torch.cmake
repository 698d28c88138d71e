# Checkpoints of torch.
ckmap_layer(formats_torch SOURCES
  pickle.cc
  pickle_calls.cc
  pickle_opcodes.cc
  pickle_text.cc
  torch_archive.cc
  torch_checkpoint.cc
  torch_distributed.cc
  torch_globals.cc
  torch_leaves.cc
  torch_legacy.cc
  torch_numpy.cc
  torch_objects.cc
  torch_pieces.cc
  torch_stacked.cc
  torch_tar.cc
  torch_tensor.cc
  torch_tree.cc
  torch_zip.cc
  LINK ckmap_formats_core)

if(CKMAP_BUILD_TESTS)
  ckmap_layer(torch_oracle SOURCES torch_oracle.cc LINK ckmap_formats_core PRIVATE simdjson::simdjson)
endif()
ckmap_test(torch_zip_test SOURCES torch_zip_test.cc LINK ckmap_formats_torch ckmap_torch_oracle)
ckmap_test(torch_legacy_test SOURCES torch_legacy_test.cc LINK ckmap_formats_torch ckmap_torch_oracle)
ckmap_test(torch_distributed_test SOURCES torch_distributed_test.cc LINK ckmap_formats_torch ckmap_torch_oracle)
ckmap_test(zip_archive_test SOURCES zip_archive_test.cc LINK ckmap_formats_core ZLIB::ZLIB)
ckmap_test(pickle_test SOURCES pickle_test.cc LINK ckmap_formats_torch)
ckmap_test(torch_writer_test SOURCES torch_writer_test.cc LINK ckmap_formats_write ckmap_formats_torch ckmap_torch_oracle)

ckmap_fuzz(pickle_fuzz LINK ckmap_formats_torch)
ckmap_fuzz(zip_fuzz LINK ckmap_formats_torch)
ckmap_fuzz(legacy_fuzz LINK ckmap_formats_torch)
ckmap_fuzz(tar_fuzz LINK ckmap_formats_torch)
ckmap_fuzz(dcp_fuzz LINK ckmap_formats_torch)
