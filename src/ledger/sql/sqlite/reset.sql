-- Marks keys as not retrieved. ?1: a JSON array of keys.
UPDATE [dsr.Crashes_$(AppId)]
SET [HasBeenRetrieved] = 0
WHERE [HasBeenRetrieved] = 1 AND [Crash-Guid] IN (SELECT [value] FROM json_each(?1));
