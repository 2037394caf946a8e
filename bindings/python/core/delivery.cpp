#include <new>
#include <string>

#include "boxes.hpp"
#include "convert.hpp"
#include "date_time.hpp"
#include "errors.hpp"

namespace peermq::python {
namespace {

PyTypeObject* delivery_type = nullptr;

/// Objects that nobody uses, ready for the next message: a loop needs two of them. Their Delivery
/// still pins its batch, in which the next message mostly lies.
constexpr std::size_t kSparesMax = 4;
DeliveryObject* spares[kSparesMax];
std::size_t spare_count = 0;

DeliveryObject* self_of(PyObject* object) noexcept {
    return reinterpret_cast<DeliveryObject*>(object);
}
Delivery& of(PyObject* object) noexcept { return *self_of(object)->delivery; }

void free_object(DeliveryObject* object) noexcept {
    object->delivery.~optional();
    PyTypeObject* type = Py_TYPE(object);
    type->tp_free(object);
    Py_DECREF(type);
}

void deallocate(PyObject* object) {
    DeliveryObject* self = self_of(object);
    Py_CLEAR(self->data);
    if (self->delivery && !self->delivery->settled()) self->delivery.reset();
    if (spare_count < kSparesMax) {
        spares[spare_count++] = self;
        return;
    }
    free_object(self);
}

// --- what it holds

int get_buffer(PyObject* object, Py_buffer* view, int flags) {
    const BytesView body = of(object).body();
    return PyBuffer_FillInfo(view, object, const_cast<std::byte*>(body.data()),
                             static_cast<Py_ssize_t>(body.size()), 1, flags);
}

PyObject* get_body(PyObject* object, void*) { return PyMemoryView_FromObject(object); }

PyObject* get_data(PyObject* object, void*) {
    DeliveryObject* self = self_of(object);
    if (!self->data) {
        self->data = guarded(
            [&] { return decode(self->delivery->body(), self->delivery->content_type()); });
    }
    Py_XINCREF(self->data);
    return self->data;
}

PyObject* get_headers(PyObject* object, void*) {
    return guarded([&] { return from_headers(of(object).headers()); });
}

PyObject* get_timestamp(PyObject* object, void*) {
    if (!load_date_time()) return nullptr;
    const double seconds = to_seconds(of(object).timestamp().time_since_epoch());
    PyObject* arguments = Py_BuildValue("(dO)", seconds, PyDateTime_TimeZone_UTC);
    PyObject* moment = arguments ? PyDateTime_FromTimestamp(arguments) : nullptr;
    Py_XDECREF(arguments);
    return moment;
}

PyObject* get_id(PyObject* object, void*) {
    return guarded([&] { return from_text(of(object).id()); });
}
PyObject* get_key(PyObject* object, void*) { return from_text(of(object).key()); }
PyObject* get_queue(PyObject* object, void*) { return from_text(of(object).queue()); }
PyObject* get_topic(PyObject* object, void*) { return from_text(of(object).topic()); }
PyObject* get_correlation_id(PyObject* object, void*) {
    return from_text(of(object).correlation_id());
}
PyObject* get_reply_to(PyObject* object, void*) { return from_text(of(object).reply_to()); }
PyObject* get_content_type(PyObject* object, void*) { return from_text(of(object).content_type()); }
PyObject* get_attempt(PyObject* object, void*) {
    return PyLong_FromUnsignedLong(of(object).attempt());
}
PyObject* get_sequence(PyObject* object, void*) {
    return PyLong_FromUnsignedLongLong(of(object).sequence());
}
PyObject* get_redelivered(PyObject* object, void*) {
    return PyBool_FromLong(of(object).redelivered());
}
PyObject* get_settled(PyObject* object, void*) { return PyBool_FromLong(of(object).settled()); }

PyObject* represent(PyObject* object) {
    return guarded([&] {
        const Delivery& delivery = of(object);
        return PyUnicode_FromFormat("<peermq.Delivery %s of queue '%s', %zu bytes, %s>",
                                    delivery.id().c_str(), delivery.queue().c_str(),
                                    delivery.body().size(),
                                    delivery.settled() ? "settled" : "unsettled");
    });
}

// --- what becomes of it

PyObject* ack(PyObject* object, PyObject*) {
    return guarded([&] { return box(of(object).ack()); });
}

PyObject* release(PyObject* object, PyObject*) {
    return guarded([&] { return box(of(object).release()); });
}

PyObject* nack(PyObject* object, PyObject* arguments, PyObject* keywords) {
    static const char* names[] = {"delay", "reason", nullptr};
    PyObject* delay = Py_None;
    PyObject* reason = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "|OO:nack", const_cast<char**>(names),
                                     &delay, &reason)) {
        return nullptr;
    }
    return guarded([&] {
        Held held;
        return box(of(object).nack(to_timeout(delay, "delay"), to_text(reason, held, "reason")));
    });
}

PyObject* reject(PyObject* object, PyObject* arguments, PyObject* keywords) {
    static const char* names[] = {"reason", nullptr};
    PyObject* reason = Py_None;
    if (!PyArg_ParseTupleAndKeywords(arguments, keywords, "O:reject", const_cast<char**>(names),
                                     &reason)) {
        return nullptr;
    }
    return guarded([&] {
        Held held;
        return box(of(object).reject(to_text(reason, held, "reason")));
    });
}

PyObject* enter(PyObject* object, PyObject*) {
    Py_INCREF(object);
    return object;
}

/// "ValueError: text", as it stands in the dead letter.
std::string reason_of(PyObject* type, PyObject* value) {
    std::string reason = PyType_Check(type) ? reinterpret_cast<PyTypeObject*>(type)->tp_name
                                            : "exception";
    PyObject* text = value ? PyObject_Str(value) : nullptr;
    PyObject* utf8 = text ? PyUnicode_AsEncodedString(text, "utf-8", "backslashreplace") : nullptr;
    if (utf8 && PyBytes_GET_SIZE(utf8) > 0) reason.append(": ").append(PyBytes_AS_STRING(utf8));
    PyErr_Clear();
    Py_XDECREF(text);
    Py_XDECREF(utf8);
    return reason;
}

PyObject* leave(PyObject* object, PyObject* const* arguments, Py_ssize_t count) {
    if (count != 3) {
        PyErr_SetString(PyExc_TypeError, "__exit__() takes three arguments");
        return nullptr;
    }
    return guarded([&]() -> PyObject* {
        Delivery& delivery = of(object);
        if (delivery.settled()) Py_RETURN_FALSE;
        if (arguments[0] == Py_None) {
            delivery.ack();
        } else if (PyErr_GivenExceptionMatches(arguments[0], PyExc_Exception) != 0) {
            delivery.nack({}, reason_of(arguments[0], arguments[1]));
        } else {
            // Ctrl-C, the end of the program, a cancelled task: the message has not failed.
            delivery.release();
        }
        Py_RETURN_FALSE;
    });
}

PyMethodDef methods[] = {
    {"ack", ack, METH_NOARGS, "Done: never again. Returns at once."},
    {"nack", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(nack)),
     METH_VARARGS | METH_KEYWORDS,
     "nack(delay=None, reason=None): failed; counts as an attempt, comes again after `delay` "
     "seconds, or after the queue's back-off."},
    {"release", release, METH_NOARGS,
     "Given back: does not count, comes again at once, perhaps elsewhere."},
    {"reject", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(reject)),
     METH_VARARGS | METH_KEYWORDS,
     "reject(reason): never to be handled; goes to the dead letters. Discards a dead letter."},
    {"__enter__", enter, METH_NOARGS, nullptr},
    {"__exit__", reinterpret_cast<PyCFunction>(reinterpret_cast<void (*)()>(leave)), METH_FASTCALL,
     nullptr},
    {nullptr, nullptr, 0, nullptr}};

PyGetSetDef properties[] = {
    {"body", get_body, nullptr, "The bytes as they came, a read-only memoryview without a copy.",
     nullptr},
    {"data", get_data, nullptr, "The object that was sent, or the body as bytes.", nullptr},
    {"id", get_id, nullptr, "The sender's id, or \"<stream>-<epoch>-<sequence>\".", nullptr},
    {"key", get_key, nullptr, "Empty when it has none.", nullptr},
    {"headers", get_headers, nullptr, "A new dict of str.", nullptr},
    {"attempt", get_attempt, nullptr, "1 + counted failures before.", nullptr},
    {"redelivered", get_redelivered, nullptr,
     "True when it may have been handed out before; never False when it was.", nullptr},
    {"settled", get_settled, nullptr, "True after ack() and its kin.", nullptr},
    {"queue", get_queue, nullptr, nullptr, nullptr},
    {"topic", get_topic, nullptr, "What it was published under; empty in a queue.", nullptr},
    {"sequence", get_sequence, nullptr, "Position in the producer's stream.", nullptr},
    {"timestamp", get_timestamp, nullptr, "When it was posted, an aware datetime.", nullptr},
    {"correlation_id", get_correlation_id, nullptr, nullptr, nullptr},
    {"reply_to", get_reply_to, nullptr, nullptr, nullptr},
    {"content_type", get_content_type, nullptr, nullptr, nullptr},
    {nullptr, nullptr, nullptr, nullptr, nullptr}};

const char* const kDocumentation =
    "A message in the hands of this process, to be settled once.\n\n"
    "`with message:` acks at the end, nacks when the block raises, and gives the message back "
    "(release) when the block is interrupted by KeyboardInterrupt, SystemExit or a cancelled task. "
    "One that is dropped unsettled counts as nacked. Made by Pull, not by hand.";

PyType_Slot slots[] = {{Py_tp_dealloc, reinterpret_cast<void*>(deallocate)},
                       {Py_tp_methods, methods},
                       {Py_tp_getset, properties},
                       {Py_tp_repr, reinterpret_cast<void*>(represent)},
                       {Py_tp_doc, const_cast<char*>(kDocumentation)},
                       {Py_bf_getbuffer, reinterpret_cast<void*>(get_buffer)},
                       {0, nullptr}};

PyType_Spec spec = {"peermq.Delivery", sizeof(DeliveryObject), 0,
                    Py_TPFLAGS_DEFAULT | Py_TPFLAGS_DISALLOW_INSTANTIATION, slots};

}  // namespace

DeliveryObject* new_delivery() noexcept {
    if (spare_count > 0) {
        DeliveryObject* spare = spares[--spare_count];
        PyObject_Init(reinterpret_cast<PyObject*>(spare), delivery_type);
        // A heap type is counted by its instances; the spare had kept its count.
        Py_DECREF(delivery_type);
        return spare;
    }
    auto* self = PyObject_New(DeliveryObject, delivery_type);
    if (!self) return nullptr;
    new (&self->delivery) std::optional<Delivery>();
    self->data = nullptr;
    return self;
}

void trim_deliveries() noexcept {
    while (spare_count > 0) free_object(spares[--spare_count]);
}

bool add_delivery_type(PyObject* module) {
    delivery_type = reinterpret_cast<PyTypeObject*>(PyType_FromSpec(&spec));
    return delivery_type && PyModule_AddObjectRef(module, "Delivery",
                                                  reinterpret_cast<PyObject*>(delivery_type)) == 0;
}

}  // namespace peermq::python
