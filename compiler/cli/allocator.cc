// The program's operator new and delete, of mimalloc. Linked into programs alone: a library leaves that to its user.
#include <mimalloc-new-delete.h>
