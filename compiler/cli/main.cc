#include "compiler/cli/app.h"

int main(int argc, char** argv) { return ckmap::RunCkmapc(argc, argv); }
