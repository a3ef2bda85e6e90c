package render

import (
	"github.com/apache/arrow-go/v18/arrow"
	"github.com/apache/arrow-go/v18/arrow/array"
)

func appendStruct(dst []byte, c *array.Struct, row int) []byte {
	t := c.DataType().(*arrow.StructType)
	dst = append(dst, '{')
	for i := range c.NumField() {
		if i > 0 {
			dst = append(dst, ',')
		}
		dst = append(appendString(dst, t.Field(i).Name), ':')
		dst = AppendJSON(dst, c.Field(i), row)
	}
	return append(dst, '}')
}

func appendList(dst []byte, c array.ListLike, row int) []byte {
	from, to := c.ValueOffsets(row)
	values := c.ListValues()
	dst = append(dst, '[')
	for i := from; i < to; i++ {
		if i > from {
			dst = append(dst, ',')
		}
		dst = AppendJSON(dst, values, int(i))
	}
	return append(dst, ']')
}

func appendMap(dst []byte, c *array.Map, row int) []byte {
	from, to := c.ValueOffsets(row)
	keys, items := c.Keys(), c.Items()
	open, shut := byte('{'), byte('}')
	_, words := keys.(array.StringLike)
	if !words {
		open, shut = '[', ']'
	}
	dst = append(dst, open)
	for i := int(from); i < int(to); i++ {
		if i > int(from) {
			dst = append(dst, ',')
		}
		if words {
			dst = append(AppendJSON(dst, keys, i), ':')
			dst = AppendJSON(dst, items, i)
			continue
		}
		dst = AppendJSON(append(dst, `{"key":`...), keys, i)
		dst = AppendJSON(append(dst, `,"value":`...), items, i)
		dst = append(dst, '}')
	}
	return append(dst, shut)
}
