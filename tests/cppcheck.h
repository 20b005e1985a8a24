/* tests/cppcheck.h: the macros of libraries that begin a loop, in the words of cppcheck (make lint), which reads none
 * of their headers but sys/queue.h. */
#define HASH_ITER(hh, head, el, next) for (next = NULL, el = head; el != NULL; el = next)
#define json_array_foreach(array, i, value) for (i = 0; (value = json_array_get(array, i)) != NULL; i++)
#define json_object_foreach(object, key, value)                                                                        \
	for (void *at = json_object_iter(object);                                                                      \
		(key = json_object_iter_key(at)) != NULL && (value = json_object_iter_value(at)) != NULL;              \
		at = json_object_iter_next(object, at))
