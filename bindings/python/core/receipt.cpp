#include <new>
#include <string_view>
#include <utility>

#include "boxes.hpp"
#include "convert.hpp"
#include "errors.hpp"

namespace peermq::python {
namespace {

/// A C++ value in a Python object whose memory is used again.
template <typename Value>
struct Box {
    PyObject_HEAD Value value;

    static inline PyTypeObject* type = nullptr;
    static constexpr std::size_t kSparesMax = 16;
    static inline Box* spares[kSparesMax];
    static inline std::size_t spare_count = 0;

    static Value& of(PyObject* object) noexcept { return reinterpret_cast<Box*>(object)->value; }

    static PyObject* make(Value&& value) noexcept {
        Box* self = nullptr;
        if (spare_count > 0) {
            self = spares[--spare_count];
            PyObject_Init(reinterpret_cast<PyObject*>(self), type);
            Py_DECREF(type);  // the spare had kept its count
        } else {
            self = PyObject_New(Box, type);
            if (!self) return nullptr;
        }
        new (&self->value) Value(std::move(value));
        return reinterpret_cast<PyObject*>(self);
    }

    static void deallocate(PyObject* object) {
        Box* self = reinterpret_cast<Box*>(object);
        self->value.~Value();
        if (spare_count < kSparesMax) {
            spares[spare_count++] = self;
            return;
        }
        PyTypeObject* own = Py_TYPE(object);
        own->tp_free(object);
        Py_DECREF(own);
    }

    static bool add(PyObject* module, const char* name, PyType_Spec& spec) {
        type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
        return type && PyModule_AddObjectRef(module, name, reinterpret_cast<PyObject*>(type)) == 0;
    }
};

// --- Receipt

Until to_until(PyObject* value) {
    Held held;
    const std::string_view name = to_text(value, held, "until");
    if (name == "durable") return Until::durable;
    if (name == "acked") return Until::acked;
    throw Error(ErrorCode::invalid_argument,
                "until: \"durable\" or \"acked\" are possible, not \"" + std::string(name) + "\"");
}

/// True, or false at the time-out; what that means is the caller's business.
PyObject* receipt_wait(PyObject* object, PyObject* const* arguments, Py_ssize_t count) {
    if (count != 2) {
        PyErr_SetString(PyExc_TypeError, "_wait() takes two arguments");
        return nullptr;
    }
    return guarded([&]() -> PyObject* {
        const Receipt receipt = Box<Receipt>::of(object);
        const Timeout timeout = to_timeout(arguments[0], "timeout");
        const Until until = to_until(arguments[1]);
        return PyBool_FromLong(
            wait(timeout, [&](Duration slice) { return receipt.wait(until, slice); }));
    });
}

PyObject* receipt_done(PyObject* object, void* until) {
    return guarded([&] {
        return PyBool_FromLong(
            Box<Receipt>::of(object).done(until ? Until::acked : Until::durable));
    });
}

PyObject* receipt_failed(PyObject* object, void* until) {
    return guarded([&] {
        return PyBool_FromLong(
            Box<Receipt>::of(object).failed(until ? Until::acked : Until::durable));
    });
}

PyObject* receipt_id(PyObject* object, void*) {
    return guarded([&] { return from_text(Box<Receipt>::of(object).id()); });
}

PyObject* receipt_sequence(PyObject* object, void*) {
    return PyLong_FromUnsignedLongLong(Box<Receipt>::of(object).sequence());
}

PyMethodDef receipt_methods[] = {
    {"_wait", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(receipt_wait)),
     METH_FASTCALL, nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef receipt_properties[] = {
    {"done", receipt_done, nullptr, "True once the message is durable.", nullptr},
    {"acked", receipt_done, nullptr, "True once a consumer has settled the message.",
     const_cast<char*>("acked")},
    {"_failed", receipt_failed, nullptr, nullptr, nullptr},
    {"_failed_acked", receipt_failed, nullptr, nullptr, const_cast<char*>("acked")},
    {"id", receipt_id, nullptr,
     "The id under which consumers see the message unless it was sent with one of its own.",
     nullptr},
    {"sequence", receipt_sequence, nullptr, "Position in the queue's stream, from 1.", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot receipt_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(Box<Receipt>::deallocate)},
    {Py_tp_methods, receipt_methods},
    {Py_tp_getset, receipt_properties},
    {Py_tp_doc, const_cast<char*>("Tells how far one posted message has come. Cheap to drop.")},
    {0, nullptr}};
PyType_Spec receipt_spec = {"peermq.Receipt", sizeof(Box<Receipt>), 0,
                            Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, receipt_slots};

// --- Settlement

PyObject* name_of(SettlementState state) {
    switch (state) {
        case SettlementState::pending: return PyUnicode_InternFromString("pending");
        case SettlementState::accepted: return PyUnicode_InternFromString("accepted");
        case SettlementState::refused: return PyUnicode_InternFromString("refused");
        case SettlementState::unknown: break;
    }
    return PyUnicode_InternFromString("unknown");
}

PyObject* settlement_wait(PyObject* object, PyObject* arguments, PyObject* keywords) {
    static const char* names[] = {"timeout", nullptr};
    PyObject* timeout = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|O:wait", const_cast<char**>(names),
                                     &timeout)) {
        return nullptr;
    }
    return guarded([&] {
        const Settlement settlement = Box<Settlement>::of(object);
        SettlementState state = SettlementState::pending;
        (void)wait(to_timeout(timeout, "timeout"), [&](Duration slice) {
            state = settlement.wait(slice);
            return state != SettlementState::pending;
        });
        return name_of(state);
    });
}

PyObject* settlement_state(PyObject* object, void*) {
    return guarded([&] { return name_of(Box<Settlement>::of(object).state()); });
}

PyMethodDef settlement_methods[] = {
    {"wait", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(settlement_wait)),
     METH_VARARGS | METH_KEYWORDS,
     "wait(timeout=None): waits for the producer's answer and returns the state; \"pending\" when "
     "`timeout` passes first."},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef settlement_properties[] = {
    {"state", settlement_state, nullptr,
     "\"pending\", \"accepted\", \"refused\" (came too late) or \"unknown\".", nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

PyType_Slot settlement_slots[] = {
    {Py_tp_dealloc, reinterpret_cast<void*>(Box<Settlement>::deallocate)},
    {Py_tp_methods, settlement_methods},
    {Py_tp_getset, settlement_properties},
    {Py_tp_doc, const_cast<char*>("The fate of an ack or its kin. May be dropped.")},
    {0, nullptr}};
PyType_Spec settlement_spec = {"peermq.Settlement", sizeof(Box<Settlement>), 0,
                               Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION,
                               settlement_slots};

}  // namespace

PyObject* box(Receipt&& receipt) noexcept { return Box<Receipt>::make(std::move(receipt)); }
PyObject* box(Settlement&& settlement) noexcept {
    return Box<Settlement>::make(std::move(settlement));
}

bool add_receipt_type(PyObject* module) {
    return Box<Receipt>::add(module, "Receipt", receipt_spec);
}
bool add_settlement_type(PyObject* module) {
    return Box<Settlement>::add(module, "Settlement", settlement_spec);
}

}  // namespace peermq::python
