// Counts the instructions of an emulated program, and writes the count so far, 8 bytes, into a file of the program's
// own at each marker: a getpriority(file descriptor, MARKER), which changes nothing. All threads share the counter,
// without a lock: it is exact while one of them works.
//
// Debian packages no qemu-plugin.h: what follows is the part of QEMU's plugin interface, version 1, in use here.
#include <stddef.h>
#include <stdint.h>
#include <unistd.h>

#ifndef MARKER
#error "compile with -DMARKER=..., the number of device/instructions.py"
#endif

enum { ADD_U64 = 0, AARCH64_GETPRIORITY = 141 };

struct block;
typedef void translated(uint64_t plugin, struct block *block);
typedef void called(uint64_t plugin, unsigned cpu, int64_t number, uint64_t a1, uint64_t a2, uint64_t a3, uint64_t a4,
                    uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8);
size_t qemu_plugin_tb_n_insns(const struct block *block);
void qemu_plugin_register_vcpu_tb_exec_inline(struct block *block, int operation, void *counter, uint64_t add);
void qemu_plugin_register_vcpu_tb_trans_cb(uint64_t plugin, translated *callback);
void qemu_plugin_register_vcpu_syscall_cb(uint64_t plugin, called *callback);

int qemu_plugin_version = 1;
static uint64_t instructions;

static void count_block(uint64_t plugin, struct block *block) {
    qemu_plugin_register_vcpu_tb_exec_inline(block, ADD_U64, &instructions, qemu_plugin_tb_n_insns(block));
}

static void write_at_marker(uint64_t plugin, unsigned cpu, int64_t number, uint64_t file, uint64_t who, uint64_t a3,
                            uint64_t a4, uint64_t a5, uint64_t a6, uint64_t a7, uint64_t a8) {
    // A write that fails leaves the program without its 8 bytes, which it notices.
    if (number == AARCH64_GETPRIORITY && who == MARKER && write((int)file, &instructions, sizeof instructions) < 0)
        return;
}

int qemu_plugin_install(uint64_t plugin, const void *info, int argc, char **argv) {
    qemu_plugin_register_vcpu_tb_trans_cb(plugin, count_block);
    qemu_plugin_register_vcpu_syscall_cb(plugin, write_at_marker);
    return 0;
}
